//! Who is in which team.

use coder_core::{Code, Problem, Result, TeamId, UserId};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Example, Filters, Json, List, NoContent, PageOf, Path, Paths, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::teams::{check_team_gift, snapshot_for_teams};
use crate::catalogue::{TeamRead, TeamUpdate};
use crate::model::{CONTAINER, TeamMember, TeamRole};
use crate::rules::Limit;
use crate::service::Users;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let (all, one) = ("/teams/{teamId}/members", "/teams/{teamId}/members/{userId}");
    routes
        .get(all, "list_team_members", "List who is in a team", list_team_members)
        .put(
            one,
            "put_team_member",
            "Add a member of the organization to a team, or change the role in it",
            put,
        )
        .problems([Code::LimitReached])
        .delete(one, "remove_team_member", "Take somebody out of a team", remove)
}

/// What somebody is to be in a team.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TeamMemberWrite {
    /// `lead` may change the team and who is in it.
    #[serde(default)]
    pub role: TeamRole,
}

impl Example for TeamMemberWrite {
    fn example() -> Self {
        Self { role: TeamRole::Member }
    }
}

impl Example for TeamMember {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self { team_id: id.into(), user_id: id.into(), role: TeamRole::Member }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TeamMemberFilters {
    /// Only those with this role.
    pub role: Option<TeamRole>,
}

impl Filters for TeamMemberFilters {
    const SORT: &'static [&'static str] = &["createdAt"];

    fn filter(&self) -> Option<Filter> {
        self.role.map(|role| Filter::Eq("role".to_owned(), json!(role)))
    }
}

/// The payload of the events about a place in a team.
pub(crate) fn event(place: &TeamMember) -> Value {
    json!({"teamId": place.team_id, "userId": place.user_id, "role": place.role})
}

async fn list_team_members(
    State(users): State<Users>,
    who: Allowed<TeamRead>,
    Path(team_id): Path<TeamId>,
    list: List<TeamMemberFilters>,
) -> Result<Json<PageOf<Record<TeamMember>>>> {
    users.teams.get(&who.partition(), &team_id.to_string()).await?;
    let of_team = Filter::eq("teamId", team_id.to_string());
    list.page(&users.team_members, &who.partition(), Some(of_team)).await.map(Json)
}

async fn put(
    State(users): State<Users>,
    who: Allowed<TeamUpdate>,
    Paths(team_id, user_id): Paths<TeamId, UserId>,
    Body(write): Body<TeamMemberWrite>,
) -> Result<Json<Record<TeamMember>>> {
    let snapshot = snapshot_for_teams(&users, who.organization_id, who.user_id, &[team_id], &[]).await?;
    if !snapshot.permissions.teams().contains(team_id) {
        return Err(Problem::not_found("team").into());
    }
    let id = TeamMember::document_id(team_id, user_id);
    let before = users.team_members.find(&who.partition(), &id).await?;
    if let Some(same) = before.as_ref().filter(|place| place.data.role == write.role) {
        return Ok(Json(same.clone()));
    }
    let mut unit = who.transaction(CONTAINER).await?;
    // First of all, so that of two that add the same person at once the second runs again and finds them there.
    users.raise_version(&mut unit, &snapshot.organization)?;
    let place = TeamMember { team_id, user_id, role: write.role };
    let record = if let Some(before) = before {
        unit.replace(&before, place)?.0
    } else {
        if users.find_membership(who.organization_id, user_id).await?.is_none() {
            let message = "Only members of the organization can be in its teams; invite the person first.";
            return Err(Problem::fault("", "not_a_member", message).into());
        }
        let of_team = Filter::eq("teamId", team_id.to_string());
        let present = users.team_members.count(&who.partition(), of_team).await?;
        Limit::TeamMembers.check(&snapshot.organization.data.limits, present, 1)?;
        check_team_gift(&users, who.context(), &snapshot, team_id, None)?;
        unit.create(id, place)?
    };
    unit.emit("team-member.added", &record.meta.id, event(&record.data));
    unit.commit(Json(record)).await
}

async fn remove(
    State(users): State<Users>,
    who: Allowed<TeamUpdate>,
    Paths(team_id, user_id): Paths<TeamId, UserId>,
) -> Result<NoContent> {
    let organization = users.organization(who.organization_id).await?;
    let place = users.team_members.get(&who.partition(), &TeamMember::document_id(team_id, user_id)).await?;
    let mut unit = who.transaction(CONTAINER).await?;
    unit.delete(&place)?;
    users.raise_version(&mut unit, &organization)?;
    unit.emit("team-member.removed", &place.meta.id, event(&place.data));
    unit.commit(NoContent).await
}
