//! Teams and their hierarchy.

use coder_core::{Code, Failure, OrganizationId, Problem, Result, Scope, TeamId, Timestamp, UserId};
use coder_database::{Entity as _, Filter, Query, Record};
use coder_handler::crud::Words;
use coder_handler::{Crud as _, Resource, Routes};
use coder_middleware::Access as _;
use coder_middleware::{Allowed, Example, Filters, Json, List, PageOf, RequestContext, State, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::catalogue::{TeamCreate, TeamDelete, TeamRead, TeamUpdate};
use crate::model::{CONTAINER, Team, claims};
use crate::names::{cleaned, folded};
use crate::rules::Limit;
use crate::service::{Snapshot, Users};
use crate::tree::{Branch, nest};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let words = Team::WORDS;
    routes
        .get(words.path, words.operations[0], "List teams, or their hierarchy", list_teams)
        .crud_create::<Team>()
        .crud_get::<Team>()
        .crud_update::<Team>()
        .crud_delete::<Team>()
}

/// What a client writes of a team.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TeamWrite {
    /// The name; unique in the organization whatever its case.
    #[schemars(length(min = 1, max = 80))]
    pub name: String,
    /// What the team does; may have several lines.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// The team above.
    pub parent_team_id: Option<TeamId>,
    /// Whether the team is out of use.
    #[serde(default)]
    pub archived: bool,
}

impl Example for TeamWrite {
    fn example() -> Self {
        Self {
            name: "Platform".to_owned(),
            description: Some("Builds what the others build on.".to_owned()),
            parent_team_id: None,
            archived: false,
        }
    }
}

impl Example for Team {
    fn example() -> Self {
        TeamWrite::example().onto(None, Timestamp::UNIX_EPOCH)
    }
}

impl TeamWrite {
    /// The team as it is wanted.
    fn onto(self, before: Option<&Team>, now: Timestamp) -> Team {
        let archived_at = before.and_then(|team| team.archived_at).or(Some(now)).filter(|_| self.archived);
        let slug = crate::names::slug(&self.name).unwrap_or_default();
        let Self { name, description, parent_team_id, .. } = self;
        Team { name, slug, description, parent_team_id, archived_at }
    }
}

/// A team in a list; in the hierarchy with the teams below it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TeamItem {
    /// The team.
    #[serde(flatten)]
    pub team: Record<Team>,
    /// The teams below, by name; only with `tree=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    pub children: Option<Vec<TeamItem>>,
}

impl Example for TeamItem {
    fn example() -> Self {
        Self { team: Record::example(Team::example()), children: None }
    }
}

impl From<Branch<Record<Team>>> for TeamItem {
    fn from(branch: Branch<Record<Team>>) -> Self {
        let children = branch.children.into_iter().map(Self::from).collect();
        Self { team: branch.team, children: Some(children) }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TeamFilters {
    /// Answer the whole hierarchy at once: the teams without a parent, each with the teams below it.
    #[serde(default)]
    pub tree: bool,
}

impl Filters for TeamFilters {
    const SORT: &'static [&'static str] = &["name", "createdAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

async fn list_teams(
    State(users): State<Users>,
    who: Allowed<TeamRead>,
    list: List<TeamFilters>,
) -> Result<Json<PageOf<TeamItem>>> {
    if !list.filters.tree {
        let page = list.page(&users.teams, &who.partition(), None).await?;
        let items = page.items.into_iter().map(|team| TeamItem { team, children: None }).collect();
        return Ok(Json(PageOf { items, next_cursor: page.next_cursor }));
    }
    let mut teams = users.teams.all(&who.partition(), None, usize::MAX).await?;
    teams.sort_by(|one, other| one.data.name.cmp(&other.data.name));
    let teams: Vec<_> = teams
        .into_iter()
        .map(|team| Ok((team.id::<TeamId>()?, team.data.parent_team_id, team)))
        .collect::<Result<_>>()?;
    let items = nest(teams).into_iter().map(TeamItem::from).collect();
    Ok(Json(PageOf { items, next_cursor: None }))
}

impl Resource for Team {
    type Service = Users;
    type Write = TeamWrite;
    type View = Record<Self>;
    type Filters = TeamFilters;
    type Id = TeamId;
    type Read = TeamRead;
    type Create = TeamCreate;
    type Update = TeamUpdate;
    type Delete = TeamDelete;

    const CONTAINER: &'static str = CONTAINER;
    const WORDS: Words = coder_handler::words!("team", "teams", "/teams", "teamId", team, teams);

    fn writable(&self) -> TeamWrite {
        TeamWrite {
            name: self.name.clone(),
            description: self.description.clone(),
            parent_team_id: self.parent_team_id,
            archived: self.archived_at.is_some(),
        }
    }

    fn view(record: Record<Self>) -> Record<Self> {
        record
    }

    fn event(record: &Record<Self>) -> Value {
        let Self { name, parent_team_id, .. } = &record.data;
        json!({"teamId": record.meta.id, "name": name, "parentTeamId": parent_team_id})
    }

    async fn create(
        users: &Users,
        who: &Allowed<TeamCreate>,
        unit: &mut Unit,
        id: TeamId,
        write: TeamWrite,
    ) -> Result<Self> {
        let team = cleaned(write.onto(None, users.now()))?;
        let organization = users.organization(who.organization_id).await?;
        let present = users.teams.count(&who.partition(), None).await?;
        Limit::Teams.check(&organization.data.limits, present, 1)?;
        if team.parent_team_id.is_some() {
            let teams = users.team_tree(who.organization_id).await?;
            teams.check_parent(None, team.parent_team_id).map_err(Problem::from)?;
        }
        claim_name(unit, &team.name, id)?;
        users.raise_version(unit, &organization)?;
        Ok(team)
    }

    async fn update(
        users: &Users,
        who: &Allowed<TeamUpdate>,
        unit: &mut Unit,
        before: &Record<Self>,
        write: TeamWrite,
    ) -> Result<Self> {
        let team = cleaned(write.onto(Some(&before.data), users.now()))?;
        let id: TeamId = before.id()?;
        let parents: Vec<TeamId> = team.parent_team_id.into_iter().collect();
        let snapshot = snapshot_for_teams(users, who.organization_id, who.user_id, &parents, &[]).await?;
        let old = before.data.parent_team_id;
        if team.parent_team_id != old {
            snapshot
                .permissions
                .teams()
                .check_parent(Some(id), team.parent_team_id)
                .map_err(Problem::from)?;
            for parent in parents {
                check_team_gift(users, who.context(), &snapshot, parent, old)?;
                check_scope_gift(users, who.context(), &snapshot, Scope::Team(id), parent, old)?;
            }
        }
        if folded(&team.name) != folded(&before.data.name) {
            unit.release(claims::TEAM_NAME, &[&folded(&before.data.name)]);
            claim_name(unit, &team.name, id)?;
        }
        if team != before.data {
            users.raise_version(unit, &snapshot.organization)?;
        }
        Ok(team)
    }

    async fn delete(
        users: &Users,
        who: &Allowed<TeamDelete>,
        unit: &mut Unit,
        before: &Record<Self>,
    ) -> Result<()> {
        let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
        let below = snapshot.permissions.teams().children(before.id()?).len();
        let of_team = Query::new(Filter::eq("teamId", before.meta.id.as_str())).limit(1);
        let (projects, _) = users.projects.page(&who.partition(), &of_team).await?;
        if below > 0 || !projects.is_empty() {
            let detail = "Move or delete the teams below it and its projects first.";
            return Err(Failure::problem(Code::NotEmpty, detail));
        }
        unit.release(claims::TEAM_NAME, &[&folded(&before.data.name)]);
        users.raise_version(unit, &snapshot.organization)?;
        Ok(())
    }
}

fn claim_name(unit: &mut Unit, name: &str, id: TeamId) -> Result<()> {
    let taken = Problem::new(Code::AlreadyExists, format!("There is a {} of this name already.", Team::TYPE));
    unit.claim(claims::TEAM_NAME, &[&folded(name)], &id.to_string(), taken)
}

/// What decides the caller's permissions at `scopes` and wherever somebody gets permissions by joining `teams`.
pub(super) async fn snapshot_for_teams(
    users: &Users,
    organization_id: OrganizationId,
    user_id: UserId,
    teams: &[TeamId],
    scopes: &[Scope],
) -> Result<Snapshot> {
    let snapshot = users.snapshot(organization_id, user_id, scopes).await?;
    let given = teams.iter().flat_map(|team| snapshot.permissions.given_by_team(*team, users.now()));
    let projects = given.map(|(scope, _)| scope).filter(|scope| matches!(scope, Scope::Project(_)));
    let mut wanted: Vec<Scope> = projects.collect();
    if wanted.is_empty() {
        return Ok(snapshot);
    }
    wanted.extend(scopes);
    users.snapshot(organization_id, user_id, &wanted).await
}

/// `403` unless the caller may give whatever is granted to `team` and to those above it, beyond what is given by
/// `had` already: for those who join the team, or whose team is put below it.
pub(super) fn check_team_gift(
    users: &Users,
    context: &RequestContext,
    snapshot: &Snapshot,
    team: TeamId,
    had: Option<TeamId>,
) -> Result<()> {
    let had = had.map(|team| snapshot.permissions.given_by_team(team, users.now())).unwrap_or_default();
    for (scope, patterns) in snapshot.permissions.given_by_team(team, users.now()) {
        // A grant at a project that is gone gives nothing any more.
        let gone = snapshot.permissions.ancestors(scope).is_none();
        if !gone && !had.contains(&(scope, patterns.clone())) {
            users.check_gift(context, snapshot, scope, &patterns)?;
        }
    }
    Ok(())
}

/// `403` unless the caller may give, at `moved`, whatever the grants at its new parent and above give there, beyond
/// those at the parent that it `had`.
pub(super) fn check_scope_gift(
    users: &Users,
    context: &RequestContext,
    snapshot: &Snapshot,
    moved: Scope,
    parent: TeamId,
    had: Option<TeamId>,
) -> Result<()> {
    let had = had.map(|team| snapshot.permissions.given_at_team(team, users.now())).unwrap_or_default();
    let mut given = snapshot.permissions.given_at_team(parent, users.now());
    given.retain(|pattern| !had.contains(pattern));
    users.check_gift(context, snapshot, moved, &given)
}
