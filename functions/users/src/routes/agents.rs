//! Agents and services: identities that live in one organization and have no password.

use coder_core::{OrganizationId, Problem, Result, UserId};
use coder_database::{Meta, Partition, Record};
use coder_handler::{Cause, Routes, retry_stale};
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, IfMatch, Json, NoContent, Patch, Path, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{AgentCreate, AgentDelete, AgentUpdate};
use crate::model::{CONTAINER, Membership, User, UserKind, UserStatus};
use crate::names::cleaned;
use crate::permissions::Rank;
use crate::service::{Users, mirrors};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let item = "/agents/{userId}";
    routes
        .post("/agents", "create_agent", "Add an agent or service identity", create_agent)
        .problems([coder_core::Code::LimitReached])
        .patch(item, "update_agent", "Change an agent or service identity", update_agent)
        .delete(item, "delete_agent", "Remove an agent or service identity", delete_agent)
        .problems([coder_core::Code::LastOwner])
}

/// The kinds of identity that are no person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// A language model that acts on its own.
    Agent,
    /// A program.
    Service,
}

/// A new agent or service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAgent {
    /// What kind of identity.
    pub kind: AgentKind,
    /// The name that others see.
    #[schemars(length(min = 1, max = 120))]
    pub display_name: String,
    /// What it does, in a word or two.
    #[schemars(length(max = 100))]
    pub title: Option<String>,
    /// What it does, at length.
    #[schemars(length(max = 2000))]
    pub bio: Option<String>,
    /// Address of a picture; `https` only.
    #[schemars(length(max = 2048))]
    pub avatar_url: Option<String>,
    /// Roles in the organization; its default role if left out. Changed later as any member's.
    #[schemars(length(min = 1, max = 5), inner(length(max = 40)))]
    pub roles: Option<Vec<String>>,
}

/// What can be changed of an agent or service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentWrite {
    /// The name that others see.
    #[schemars(length(min = 1, max = 120))]
    pub display_name: String,
    /// What it does, in a word or two.
    #[schemars(length(max = 100))]
    pub title: Option<String>,
    /// What it does, at length.
    #[schemars(length(max = 2000))]
    pub bio: Option<String>,
    /// Address of a picture; `https` only.
    #[schemars(length(max = 2048))]
    pub avatar_url: Option<String>,
}

/// An agent or service as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    /// The server's fields; `organizationId` is null, since an identity stands beside organizations.
    #[serde(flatten)]
    pub meta: Meta,
    /// What clients change.
    #[serde(flatten)]
    pub agent: AgentWrite,
    /// What kind of identity.
    pub kind: UserKind,
    /// Whether it is in use.
    pub status: UserStatus,
    /// Where it lives.
    pub home_organization_id: Option<OrganizationId>,
}

impl Example for NewAgent {
    fn example() -> Self {
        let AgentWrite { display_name, title, bio, avatar_url } = AgentWrite::example();
        let roles = Some(vec!["viewer".to_owned()]);
        Self { kind: AgentKind::Agent, display_name, title, bio, avatar_url, roles }
    }
}

impl Example for AgentWrite {
    fn example() -> Self {
        let title = Some("Reviews pull requests".to_owned());
        Self { display_name: "Reviewer".to_owned(), title, bio: None, avatar_url: None }
    }
}

impl Example for AgentView {
    fn example() -> Self {
        let user = AgentWrite::example().onto(User::new(UserKind::Agent, ""));
        Self::from(Record::example(User {
            home_organization_id: Some(coder_core::id::EXAMPLE.into()),
            ..user
        }))
    }
}

impl AgentWrite {
    fn of(user: &User) -> Self {
        let User { display_name, title, bio, avatar_url, .. } = user.clone();
        Self { display_name, title, bio, avatar_url }
    }

    fn onto(self, before: User) -> User {
        let Self { display_name, title, bio, avatar_url } = self;
        User { display_name, title, bio, avatar_url, ..before }
    }
}

impl From<Record<User>> for AgentView {
    fn from(record: Record<User>) -> Self {
        let User { kind, status, home_organization_id, .. } = record.data;
        Self { agent: AgentWrite::of(&record.data), meta: record.meta, kind, status, home_organization_id }
    }
}

/// The agent or service of this organization; `404` for people, for those of others, and for deleted ones.
async fn agent(users: &Users, organization_id: OrganizationId, id: UserId) -> Result<Record<User>> {
    let found = users.people.find(&Partition::user(id), &id.to_string()).await?;
    let of_here = |user: &User| {
        user.kind != UserKind::Human
            && user.home_organization_id == Some(organization_id)
            && user.status != UserStatus::Deleted
    };
    let found = found.filter(|record| of_here(&record.data));
    found.ok_or_else(|| Problem::not_found("agent").into())
}

async fn create_agent(
    State(users): State<Users>,
    who: Allowed<AgentCreate>,
    Body(input): Body<NewAgent>,
) -> Result<Created<AgentView>> {
    // A repeated request is answered before anything is made.
    drop(who.transaction(CONTAINER).await?);
    let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
    let NewAgent { kind, display_name, title, bio, avatar_url, roles } = input;
    let roles = roles.unwrap_or_else(|| vec![snapshot.organization.data.settings.default_role.clone()]);
    users.check_roles(who.context(), &snapshot, "/roles", &roles)?;
    let kind = match kind {
        AgentKind::Agent => UserKind::Agent,
        AgentKind::Service => UserKind::Service,
    };
    let write = AgentWrite { display_name, title, bio, avatar_url };
    let user = User { home_organization_id: Some(who.organization_id), ..User::new(kind, "") };
    let user = cleaned(write.onto(user))?;
    // The identity comes first: without a membership it is nobody's, and the nightly repair takes it away.
    let cause = Cause::Request(who.context());
    let id: UserId = users.runtime.ambient.new_id();
    let mut unit = cause.begin(CONTAINER, Partition::user(id)).without_audit();
    let person = unit.create(id, user)?;
    unit.emit_for(who.organization_id, "user.created", &id.to_string(), json!({"userId": id}));
    cause.commit(unit).await?;
    let answer = retry_stale(|| enrol(&users, &who, &person, &roles)).await?;
    mirrors::later(users.settle_membership(cause, who.organization_id, id).await);
    Ok(answer)
}

/// Makes the new identity a member.
async fn enrol(
    users: &Users,
    who: &Allowed<AgentCreate>,
    person: &Record<User>,
    roles: &[String],
) -> Result<Created<AgentView>> {
    let mut unit = who.transaction(CONTAINER).await?;
    let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
    users.check_roles(who.context(), &snapshot, "/roles", roles)?;
    let mut membership = Membership::new(person.id()?, roles.to_vec(), users.now()).of(&person.data);
    membership.invited_by = Some(who.user_id);
    users.add_member(&mut unit, &snapshot.organization, membership, "agent").await?;
    let location = format!("{}/{}", who.context().path(), person.meta.id);
    unit.commit(Created { location, body: AgentView::from(person.clone()) }).await
}

async fn update_agent(
    State(users): State<Users>,
    who: Allowed<AgentUpdate>,
    Path(id): Path<UserId>,
    if_match: IfMatch,
    patch: Patch<AgentWrite>,
) -> Result<Json<AgentView>> {
    let before = agent(&users, who.organization_id, id).await?;
    if_match.check(&before.meta)?;
    let user = cleaned(patch.apply(&AgentWrite::of(&before.data))?.onto(before.data.clone()))?;
    let mut unit = who.begin(CONTAINER, Partition::user(id)).await?;
    let (record, changes) = unit.replace(&before, user)?;
    if !changes.is_empty() {
        let event = json!({"userId": id, "changes": changes});
        unit.emit_for(who.organization_id, "user.updated", &record.meta.id, event);
    }
    let answer = unit.commit(Json(AgentView::from(record))).await?;
    mirrors::later(users.mirror_person(Cause::Request(who.context()), id).await);
    Ok(answer)
}

async fn delete_agent(
    State(users): State<Users>,
    who: Allowed<AgentDelete>,
    Path(id): Path<UserId>,
) -> Result<NoContent> {
    let before = agent(&users, who.organization_id, id).await?;
    let cause = Cause::Request(who.context());
    // The membership goes first, because that can be refused; a killed request goes on here when it is repeated.
    let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
    if let Some(membership) = users.find_membership(who.organization_id, id).await? {
        let rank = snapshot.access(&users, who.user_id).rank();
        rank.check_change(Rank::of(&membership.data.roles), Rank::Other)?;
        let mut unit = cause.begin(CONTAINER, who.partition()).without_audit();
        users.remove_member(&mut unit, &snapshot.organization, &membership, "removed").await?;
        cause.commit(unit).await?;
    }
    users.settle_membership(cause, who.organization_id, id).await?;
    let mut unit = who.begin(CONTAINER, Partition::user(id)).await?;
    let mut user = before.data.clone();
    user.erase();
    let (record, _) = unit.replace(&before, user)?;
    unit.emit_for(who.organization_id, "user.purged", &record.meta.id, json!({"userId": id}));
    unit.commit(NoContent).await
}
