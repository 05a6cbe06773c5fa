//! What other groups of the platform ask: to register a person, what somebody may do, where somebody is a member.

use std::collections::BTreeMap;

use coder_core::{Code, OrganizationId, PermissionSet, Result, Scope, UserId};
use coder_handler::{Cause, Routes};
use coder_middleware::{Access as _, Body, Example, FromService, Json, Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{MembershipStatus, OrganizationKind, UserKind, UserStatus};
use crate::service::Users;
use crate::service::directory::{DirectoryEntry, MembershipSummary, RankName};
use crate::service::mirrors::later;
use crate::service::provision::Provision;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let (provision, memberships) = ("/internal/provision", "/internal/memberships");
    routes
        .post(provision, "provision_person", "Register a person with a first membership", provision_person)
        .problems([Code::LinkExpired, Code::EmailMismatch, Code::LimitReached, Code::InvalidState])
        .post("/internal/roles", "resolve_roles", "Say what roles of an organization permit", roles)
        .problems([Code::NotFound])
        .post("/internal/permissions", "resolve_permissions", "Say what a person may do at a scope", resolve)
        .get(memberships, "list_person_memberships", "List where a person is a member", memberships_of)
        .problems([Code::NotFound])
}

/// A registered person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provisioned {
    /// The organization that was just made or joined, else the default one.
    pub organization_id: Option<OrganizationId>,
    /// Whether the person was made by this very request.
    pub created: bool,
    /// The person with the memberships that count.
    #[serde(flatten)]
    pub person: DirectoryEntry,
}

impl Example for Provision {
    fn example() -> Self {
        Self {
            user_id: coder_core::id::EXAMPLE.into(),
            email: "ada@example.com".to_owned(),
            display_name: "Ada Lovelace".to_owned(),
            organization_name: None,
            invitation_token: None,
            membership: None,
            email_verified: true,
        }
    }
}

impl Example for DirectoryEntry {
    fn example() -> Self {
        let membership = MembershipSummary {
            organization_id: coder_core::id::EXAMPLE.into(),
            name: "Ada Lovelace".to_owned(),
            slug: "ada-lovelace".to_owned(),
            kind: OrganizationKind::Personal,
            roles: vec!["owner".to_owned()],
            rank: RankName::Owner,
            status: MembershipStatus::Active,
            joined_at: coder_core::Timestamp::UNIX_EPOCH,
            is_default: true,
        };
        Self {
            user_id: coder_core::id::EXAMPLE.into(),
            display_name: "Ada Lovelace".to_owned(),
            email: Some("ada@example.com".to_owned()),
            kind: UserKind::Human,
            status: UserStatus::Active,
            memberships: vec![membership],
        }
    }
}

impl Example for Provisioned {
    fn example() -> Self {
        let organization_id = Some(coder_core::id::EXAMPLE.into());
        Self { organization_id, created: true, person: DirectoryEntry::example() }
    }
}

async fn provision_person(
    State(users): State<Users>,
    who: FromService,
    Body(input): Body<Provision>,
) -> Result<Json<Provisioned>> {
    let cause = Cause::Request(who.context());
    let (person, organization_id, created) = users.provision(cause, input).await?;
    let person = users.directory_entry(&person).await?;
    let default = person.memberships.iter().find(|one| one.is_default).map(|one| one.organization_id);
    Ok(Json(Provisioned { organization_id: organization_id.or(default), created, person }))
}

/// Whose permissions are asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolveRequest {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The person.
    pub user_id: UserId,
    /// Where.
    pub scope: Scope,
}

/// What a person may do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// Patterns over permission names.
    #[schemars(with = "Vec<String>")]
    pub permissions: PermissionSet,
    /// Rises with every change of what somebody may do in the organization; 0 if there is none.
    pub permission_version: u64,
    /// Whether the organization has such a scope.
    pub scope_known: bool,
}

impl Example for ResolveRequest {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self { organization_id: id.into(), user_id: id.into(), scope: Scope::Organization(id.into()) }
    }
}

impl Example for Resolved {
    fn example() -> Self {
        Self {
            permissions: coder_core::Pattern::parse("*.*.read").into_iter().collect(),
            permission_version: 7,
            scope_known: true,
        }
    }
}

/// A scope that the organization does not have answers what holds in the whole organization: whoever may act
/// everywhere then learns from the look-up that there is no such thing, and everybody else is refused, whether the
/// thing is absent or another tenant's.
async fn resolve(
    State(users): State<Users>,
    who: FromService,
    Body(input): Body<ResolveRequest>,
) -> Result<Json<Resolved>> {
    let ResolveRequest { organization_id, user_id, scope } = input;
    let snapshot = match users.snapshot(organization_id, user_id, &[scope]).await {
        Err(failure) if failure.code() == Some(Code::NotFound) => {
            let permissions = PermissionSet::default();
            return Ok(Json(Resolved { permissions, permission_version: 0, scope_known: false }));
        }
        snapshot => snapshot?,
    };
    let access = snapshot.access(&users, user_id);
    let scope_known = snapshot.permissions.ancestors(scope).is_some();
    let held = access.at(scope).unwrap_or_else(|| access.at_organization());
    later(users.note_access(Cause::Request(who.context()), &snapshot, user_id).await);
    let permission_version = snapshot.permissions.permission_version();
    Ok(Json(Resolved { permissions: held.to_set(), permission_version, scope_known }))
}

/// Roles that are asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolesRequest {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// Names of built-in or own roles.
    #[schemars(length(max = 100), inner(length(min = 1, max = 40)))]
    pub roles: Vec<String>,
}

/// The roles among those asked for that the organization has.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ResolvedRoles {
    /// What each permits, inherited permissions included, by its name.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub roles: BTreeMap<String, PermissionSet>,
}

impl Example for RolesRequest {
    fn example() -> Self {
        Self { organization_id: coder_core::id::EXAMPLE.into(), roles: vec!["viewer".to_owned()] }
    }
}

impl Example for ResolvedRoles {
    fn example() -> Self {
        let permissions = coder_core::Pattern::parse("*.*.read").into_iter().collect();
        Self { roles: BTreeMap::from([("viewer".to_owned(), permissions)]) }
    }
}

async fn roles(
    State(users): State<Users>,
    _who: FromService,
    Body(input): Body<RolesRequest>,
) -> Result<Json<ResolvedRoles>> {
    let snapshot = users.role_snapshot(input.organization_id).await?;
    let known = input.roles.into_iter().filter(|name| snapshot.permissions.roles().get(name).is_some());
    let permitted = |name: String| {
        let patterns = snapshot.permissions.patterns_of_roles([&name]);
        (name, patterns.into_iter().collect())
    };
    Ok(Json(ResolvedRoles { roles: known.map(permitted).collect() }))
}

/// Whose memberships are asked for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfPerson {
    /// The person.
    pub user_id: UserId,
}

async fn memberships_of(
    State(users): State<Users>,
    _who: FromService,
    Query(query): Query<OfPerson>,
) -> Result<Json<DirectoryEntry>> {
    let person = users.person(query.user_id).await?;
    users.directory_entry(&person).await.map(Json)
}
