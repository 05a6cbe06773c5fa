//! Organizations: made by anybody signed in, changed and deleted by those who may.

use std::str::FromStr;

use coder_core::{Code, Failure, OrganizationId, Pattern, Permission, Problem, Result};
use coder_database::{Filter, Partition, Record};
use coder_handler::{Cause, Routes};
use coder_middleware::{
    Accepted, Access as _, Allowed, Body, Created, Example, Filters, IfMatch, InSession, Json, List, PageOf,
    Patch, Path, SignedIn, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{
    InvitationCreate, OrganizationDelete, OrganizationRead, OrganizationUpdate, ProjectCreate,
};
use crate::model::{
    CONTAINER, MembershipRef, Organization, OrganizationKind, OrganizationSettings, patterns,
};
use crate::names::cleaned;
use crate::rules::OrganizationAct;
use crate::service::{Snapshot, Users};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let one = "/organizations/{id}";
    routes
        .get("/organizations", "list_organizations", "List the own organizations", list_organizations)
        .post(
            "/organizations",
            "create_organization",
            "Create an organization and own it",
            create_organization,
        )
        .problems([Code::AlreadyExists])
        .get(one, "get_organization", "Read the organization", get_organization)
        .patch(one, "update_organization", "Change the organization and its settings", update_organization)
        .delete(
            one,
            "delete_organization",
            "Ask for the organization's deletion, in 30 days",
            delete_organization,
        )
        .problems([Code::InvalidState, Code::ReauthenticationRequired])
        .post(
            "/organizations/{id}/restore",
            "restore_organization",
            "Take the request for the organization's deletion back",
            restore_organization,
        )
        .problems([Code::InvalidState])
}

/// The organization of a path: `current` is that of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That of the credential.
    Current,
    /// By its id.
    Id(OrganizationId),
}

impl FromStr for Which {
    type Err = <OrganizationId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "current" { Ok(Self::Current) } else { text.parse().map(Self::Id) }
    }
}

impl Which {
    /// The caller's organization; `404` for any other.
    fn own(self, own: OrganizationId) -> Result<OrganizationId> {
        match self {
            Self::Id(id) if id != own => Err(Problem::not_found("organization").into()),
            _ => Ok(own),
        }
    }
}

/// A new organization.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewOrganization {
    /// The name that people see.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Short name in addresses, unique on the platform; made from the name if it is left out.
    #[schemars(regex(pattern = patterns::ORGANIZATION_SLUG))]
    pub slug: Option<String>,
    /// What the organization is; may have several lines.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// Address of a logo; `https` only.
    #[schemars(length(max = 2048))]
    pub logo_url: Option<String>,
}

/// What can be changed of an organization.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationWrite {
    /// The name that people see.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// What the organization is; may have several lines.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// Address of a logo; `https` only.
    #[schemars(length(max = 2048))]
    pub logo_url: Option<String>,
    /// What its admins decide.
    #[serde(default)]
    pub settings: OrganizationSettings,
}

/// A deletion, confirmed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfirmDeletion {
    /// The organization's slug.
    #[schemars(length(min = 1, max = 40))]
    pub confirm: String,
}

impl Example for Organization {
    fn example() -> Self {
        Self::new(OrganizationKind::Company, "Acme", "acme")
    }
}

impl Example for NewOrganization {
    fn example() -> Self {
        Self { name: "Acme".to_owned(), slug: Some("acme".to_owned()), description: None, logo_url: None }
    }
}

impl Example for OrganizationWrite {
    fn example() -> Self {
        Self::of(&Organization::example())
    }
}

impl Example for ConfirmDeletion {
    fn example() -> Self {
        Self { confirm: "acme".to_owned() }
    }
}

impl OrganizationWrite {
    fn of(organization: &Organization) -> Self {
        let Organization { name, description, logo_url, settings, .. } = organization.clone();
        Self { name, description, logo_url, settings }
    }
}

/// The caller's organizations.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OwnFilters {}

impl Filters for OwnFilters {
    const SORT: &'static [&'static str] = &["joinedAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

async fn list_organizations(
    State(users): State<Users>,
    who: SignedIn,
    list: List<OwnFilters>,
) -> Result<Json<PageOf<Record<Organization>>>> {
    let mut places = users.places(who.user_id).await?;
    places.retain(|place| place.membership.data.is_active(users.now()));
    if list.order.1 == coder_database::Direction::Descending {
        places.reverse();
    }
    let items: Vec<_> = places.into_iter().map(|place| place.organization).collect();
    list.slice(&items, &who.user_id.to_string()).map(Json)
}

async fn create_organization(
    State(users): State<Users>,
    who: InSession,
    Body(input): Body<NewOrganization>,
) -> Result<Created<Record<Organization>>> {
    let person = users.person(who.user_id).await?;
    // The answer is kept beside the person: the organization's partition is not known when a request is repeated.
    let mut unit = who.begin(CONTAINER, Partition::user(who.user_id)).await?.without_audit();
    let NewOrganization { name, slug, description, logo_url } = input;
    let organization = Organization {
        description,
        logo_url,
        ..Organization::new(OrganizationKind::Company, name, slug.unwrap_or_default())
    };
    let organization = cleaned(organization)?;
    let id: OrganizationId = users.runtime.ambient.new_id();
    let record = users.create_organization(Cause::Request(who.context()), id, organization, &person).await?;
    let membership = users.membership(id, who.user_id).await?;
    unit.mirror(MembershipRef::document_id(id), membership.data.mirror(id))?;
    unit.commit(Created { location: format!("/api/users/organizations/{id}"), body: record }).await
}

async fn get_organization(
    State(users): State<Users>,
    who: Allowed<OrganizationRead>,
    Path(which): Path<Which>,
) -> Result<Json<Record<Organization>>> {
    users.organization(which.own(who.organization_id)?).await.map(Json)
}

async fn update_organization(
    State(users): State<Users>,
    who: Allowed<OrganizationUpdate>,
    Path(which): Path<Which>,
    if_match: IfMatch,
    patch: Patch<OrganizationWrite>,
) -> Result<Json<Record<Organization>>> {
    let id = which.own(who.organization_id)?;
    let snapshot = users.snapshot(id, who.user_id, &[]).await?;
    let before = &snapshot.organization;
    if_match.check(&before.meta)?;
    let OrganizationWrite { name, description, logo_url, settings } =
        patch.apply(&OrganizationWrite::of(&before.data))?;
    let mut after = cleaned(Organization { name, description, logo_url, settings, ..before.data.clone() })?;
    check_settings(&users, &who, &snapshot, &after.settings)?;
    if after.settings != before.data.settings {
        // The settings decide what the role `member` holds.
        after.permission_version = after.permission_version.saturating_add(1);
    }
    let mut unit = who.transaction(CONTAINER).await?;
    let (record, changes) = unit.replace(before, after)?;
    unit.emit_changes("organization.updated", &record.meta.id, json!({"organizationId": id}), &changes);
    unit.commit(Json(record)).await
}

/// Nobody gives by a setting what they could not give by a role.
fn check_settings(
    users: &Users,
    who: &Allowed<OrganizationUpdate>,
    snapshot: &Snapshot,
    after: &OrganizationSettings,
) -> Result<()> {
    let before = &snapshot.organization.data.settings;
    if after.default_role != before.default_role {
        let role = std::slice::from_ref(&after.default_role);
        users.check_roles(who.context(), snapshot, "/settings/defaultRole", role)?;
    }
    let mut wanted = Vec::new();
    if after.members_may_invite && !before.members_may_invite {
        wanted.push(InvitationCreate::DECLARATION.name);
    }
    if after.members_may_create_projects && !before.members_may_create_projects {
        wanted.push(ProjectCreate::DECLARATION.name);
    }
    let wanted: Vec<Pattern> = wanted.into_iter().filter_map(Pattern::parse).collect();
    users.check_gift(who.context(), snapshot, snapshot.scope(), &wanted)
}

async fn delete_organization(
    State(users): State<Users>,
    who: Allowed<OrganizationDelete>,
    Path(which): Path<Which>,
    if_match: IfMatch,
    Body(input): Body<ConfirmDeletion>,
) -> Result<Accepted<Record<Organization>>> {
    let id = which.own(who.organization_id)?;
    who.demand_fresh()?;
    let before = users.organization(id).await?;
    if_match.check(&before.meta)?;
    if input.confirm != before.data.slug {
        let message = "Repeat the organization's slug to confirm.";
        return Err(Problem::fault("/confirm", "not_confirmed", message).into());
    }
    let mut after = before.data.clone();
    after.apply(OrganizationAct::RequestDeletion, users.now()).map_err(Problem::from)?;
    let mut unit = who.transaction(CONTAINER).await?;
    let (record, changes) = unit.replace(&before, after)?;
    let data = json!({"organizationId": id});
    unit.emit_changes("organization.deletion-requested", &record.meta.id, data, &changes);
    unit.commit(Accepted(record)).await
}

/// Runs without a permission check of the credential's organization, because a deleted one issues no tokens; what
/// the caller holds in the organization of the path decides.
async fn restore_organization(
    State(users): State<Users>,
    who: InSession,
    Path(which): Path<Which>,
) -> Result<Json<Record<Organization>>> {
    let unknown = || Failure::from(Problem::not_found("organization"));
    let id = match which {
        Which::Id(id) => id,
        Which::Current => who.organization_id.ok_or_else(unknown)?,
    };
    let snapshot = users.snapshot(id, who.user_id, &[]).await?;
    let access = snapshot.access(&users, who.user_id);
    if !access.is_member() {
        return Err(unknown());
    }
    let wanted = OrganizationDelete::DECLARATION.name;
    if !access.at_organization().allows(wanted) {
        return Err(Problem::missing_permission(wanted).into());
    }
    let mut after = snapshot.organization.data.clone();
    after.apply(OrganizationAct::Restore, users.now()).map_err(Problem::from)?;
    let mut unit = who.begin(CONTAINER, Partition::organization(id)).await?;
    let (record, changes) = unit.replace(&snapshot.organization, after)?;
    unit.emit_changes("organization.updated", &record.meta.id, json!({"organizationId": id}), &changes);
    unit.commit(Json(record)).await
}
