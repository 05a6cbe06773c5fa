//! Grants: permissions at a scope, for a person, an agent or a team.

use coder_core::{Code, Permission as _, Problem, Result, Scope, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Path,
    State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search::all_of;
use crate::catalogue::{GrantCreate, GrantDelete, GrantRead, TeamRead};
use crate::model::{CONTAINER, Grant, GrantId, Granted, Subject, UserKind};
use crate::names::Check;
use crate::service::gift::grant_event;
use crate::service::{MAX_GRANTS, Snapshot, Users, fixed_limit};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes
        .get("/grants", "list_grants", "List grants", list_grants)
        .post("/grants", "create_grant", "Grant a role or permissions at a scope", create_grant)
        .problems([Code::UnknownPermission, Code::LimitReached])
        .get("/grants/{id}", "get_grant", "Read a grant", get_grant)
        .delete("/grants/{id}", "delete_grant", "Take a grant back", delete_grant)
}

/// A new grant: of a role, or of single permissions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewGrant {
    /// Who gets it.
    pub subject: Subject,
    /// Where it holds, and below.
    pub scope: Scope,
    /// Everything in this role; else name `permissions`.
    #[schemars(length(min = 1, max = 40))]
    pub role: Option<String>,
    /// Permission names, or patterns over them; else name a `role`.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 120)))]
    pub permissions: Option<Vec<String>>,
    /// When it ends by itself.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

impl Example for NewGrant {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            subject: Subject::User(id.into()),
            scope: Scope::Project(id.into()),
            role: Some("viewer".to_owned()),
            permissions: None,
            expires_at: None,
        }
    }
}

impl Example for Grant {
    fn example() -> Self {
        let NewGrant { subject, scope, .. } = NewGrant::example();
        let granted = coder_core::Pattern::parse(TeamRead::DECLARATION.name).into_iter().collect();
        Self { subject, scope, granted: Granted::Permissions(granted), expires_at: None }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantFilters {
    /// Only those of this person, agent or team.
    #[schemars(length(min = 1, max = 36))]
    pub subject_id: Option<String>,
    /// Only those at this organization, team or project.
    #[schemars(length(min = 1, max = 36))]
    pub scope_id: Option<String>,
}

impl Filters for GrantFilters {
    const SORT: &'static [&'static str] = &["createdAt"];

    fn filter(&self) -> Option<Filter> {
        all_of([
            self.subject_id.as_deref().map(|id| Filter::eq("subject.id", id)),
            self.scope_id.as_deref().map(|id| Filter::eq("scope.id", id)),
        ])
    }
}

async fn list_grants(
    State(users): State<Users>,
    who: Allowed<GrantRead>,
    list: List<GrantFilters>,
) -> Result<Json<PageOf<Record<Grant>>>> {
    list.page(&users.grants, &who.partition(), None).await.map(Json)
}

async fn get_grant(
    State(users): State<Users>,
    who: Allowed<GrantRead>,
    Path(id): Path<GrantId>,
) -> Result<Json<Record<Grant>>> {
    users.grants.get(&who.partition(), &id.to_string()).await.map(Json)
}

async fn create_grant(
    State(users): State<Users>,
    who: Allowed<GrantCreate>,
    Body(input): Body<NewGrant>,
) -> Result<Created<Record<Grant>>> {
    let snapshot = users.snapshot(who.organization_id, who.user_id, &[input.scope]).await?;
    let grant = checked(&users, &snapshot, input).await?;
    let present = users.grants.all(&who.partition(), None, 2 * MAX_GRANTS).await?.len();
    fixed_limit("grants", present, MAX_GRANTS)?;
    let wanted = snapshot.permissions.patterns_in(&grant.granted);
    users.check_gift(who.context(), &snapshot, grant.scope, &wanted)?;
    let mut unit = who.transaction(CONTAINER).await?;
    let id: GrantId = users.runtime.ambient.new_id();
    let record = unit.create(id, grant)?;
    users.raise_version(&mut unit, &snapshot.organization)?;
    unit.emit("grant.added", &record.meta.id, grant_event(&record.meta.id, &record.data));
    let location = format!("{}/{id}", who.context().path());
    unit.commit(Created { location, body: record }).await
}

async fn delete_grant(
    State(users): State<Users>,
    who: Allowed<GrantDelete>,
    Path(id): Path<GrantId>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let organization = users.organization(who.organization_id).await?;
    let before = users.grants.get(&who.partition(), &id.to_string()).await?;
    if_match.check(&before.meta)?;
    let mut unit = who.transaction(CONTAINER).await?;
    unit.delete(&before)?;
    users.raise_version(&mut unit, &organization)?;
    unit.emit("grant.removed", &before.meta.id, grant_event(&before.meta.id, &before.data));
    unit.commit(NoContent).await
}

/// The grant in its stored form, or `422` with every fault.
async fn checked(users: &Users, snapshot: &Snapshot, input: NewGrant) -> Result<Grant> {
    let NewGrant { subject, scope, role, permissions, expires_at } = input;
    let mut check = Check::default();
    if !is_there(users, snapshot, subject).await? {
        check.fault(
            "/subject/id",
            "unknown_subject",
            "There is nobody of this kind and id in the organization.",
        );
    }
    if snapshot.permissions.ancestors(scope).is_none() {
        check.fault("/scope/id", "unknown_scope", "There is no such scope in the organization.");
    }
    if expires_at.is_some_and(|end| end <= users.now()) {
        check.fault("/expiresAt", "too_small", "A time to come is needed.");
    }
    let mut unknown = None;
    let granted = match (role, permissions) {
        (Some(role), None) => {
            if snapshot.permissions.roles().get(&role).is_none() {
                check.fault("/role", "unknown_role", format!("There is no role `{role}`."));
            }
            Granted::Role(role)
        }
        (None, Some(texts)) => match users.catalogue.patterns("/permissions", &texts) {
            Ok(patterns) => Granted::Permissions(patterns),
            Err(problem) => {
                unknown = Some(problem);
                Granted::Permissions(Vec::new())
            }
        },
        _ => {
            check.fault("/role", "one_of", "Exactly one of `role` and `permissions` is needed.");
            Granted::Permissions(Vec::new())
        }
    };
    match (check.finish(), unknown) {
        (Ok(()), None) => Ok(Grant { subject, scope, granted, expires_at }),
        (Ok(()), Some(problem)) | (Err(problem), None) => Err(problem.into()),
        (Err(mut problem), Some(more)) => {
            problem.errors.extend(more.errors);
            Err(Problem::invalid(problem.errors).into())
        }
    }
}

/// Whether the organization has the subject, as what it is said to be.
async fn is_there(users: &Users, snapshot: &Snapshot, subject: Subject) -> Result<bool> {
    let (user_id, human) = match subject {
        Subject::Team(team) => return Ok(snapshot.permissions.teams().contains(team)),
        Subject::User(user_id) => (user_id, true),
        Subject::Agent(user_id) => (user_id, false),
    };
    let membership = users.find_membership(snapshot.organization_id(), user_id).await?;
    Ok(membership.is_some_and(|one| (one.data.person.kind == UserKind::Human) == human))
}
