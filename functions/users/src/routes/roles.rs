//! Roles: the built-in ones, which nobody changes, and the organization's own.

use coder_core::permission::BuiltInRole;
use coder_core::{Code, Failure, Pattern, Problem, Result, Timestamp};
use coder_database::{Direction, Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch,
    Path, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{RoleCreate, RoleDelete, RoleRead, RoleUpdate};
use crate::model::{CONTAINER, Role, patterns};
use crate::names::cleaned;
use crate::service::{MAX_ROLES, Snapshot, Users, fixed_limit};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let own = [Code::UnknownPermission, Code::RoleCycle, Code::LimitReached];
    routes
        .get("/roles", "list_roles", "List roles, the built-in ones among them", list_roles)
        .post("/roles", "create_role", "Create a role", create_role)
        .problems(own)
        .problems([Code::AlreadyExists])
        .get("/roles/{name}", "get_role", "Read a role", get_role)
        .patch("/roles/{name}", "update_role", "Change a role", update_role)
        .problems(own)
        .problems([Code::Immutable])
        .delete("/roles/{name}", "delete_role", "Delete a role that nobody uses", delete_role)
        .problems([Code::Immutable, Code::InUse])
}

/// What can be changed of a role.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleWrite {
    /// Who should hold it.
    #[schemars(length(max = 500))]
    pub description: Option<String>,
    /// Permission names, or patterns over them; none makes a guest role.
    #[serde(default)]
    #[schemars(length(max = 300), inner(length(min = 1, max = 120)))]
    pub permissions: Vec<String>,
    /// Roles whose permissions this one has too.
    #[serde(default)]
    #[schemars(length(max = 5), inner(length(min = 1, max = 40)))]
    pub inherits: Vec<String>,
}

/// A new role.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRole {
    /// The name; unique in the organization.
    #[schemars(regex(pattern = patterns::ROLE_NAME))]
    pub name: String,
    /// Who should hold it.
    #[schemars(length(max = 500))]
    pub description: Option<String>,
    /// Permission names, or patterns over them; none makes a guest role.
    #[serde(default)]
    #[schemars(length(max = 300), inner(length(min = 1, max = 120)))]
    pub permissions: Vec<String>,
    /// Roles whose permissions this one has too.
    #[serde(default)]
    #[schemars(length(max = 5), inner(length(min = 1, max = 40)))]
    pub inherits: Vec<String>,
}

/// A role.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    /// The role.
    #[serde(flatten)]
    pub role: Role,
    /// When it was last changed; not for built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub updated_at: Option<Timestamp>,
    /// Changes with the role; not for built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl From<Record<Role>> for RoleView {
    fn from(record: Record<Role>) -> Self {
        Self { role: record.data, updated_at: Some(record.meta.updated_at), etag: Some(record.meta.etag) }
    }
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        Self { role, updated_at: None, etag: None }
    }
}

impl Example for RoleWrite {
    fn example() -> Self {
        Self {
            description: Some("Looks after teams.".to_owned()),
            permissions: vec!["users.team.*".to_owned()],
            inherits: vec!["viewer".to_owned()],
        }
    }
}

impl Example for NewRole {
    fn example() -> Self {
        let RoleWrite { description, permissions, inherits } = RoleWrite::example();
        Self { name: "team-keeper".to_owned(), description, permissions, inherits }
    }
}

impl Example for RoleView {
    fn example() -> Self {
        let NewRole { name, description, permissions, inherits } = NewRole::example();
        let permissions = permissions.iter().filter_map(|text| Pattern::parse(text)).collect();
        Record::example(Role { name, description, permissions, inherits, built_in: false }).into()
    }
}

impl RoleWrite {
    fn of(role: &Role) -> Self {
        Self {
            description: role.description.clone(),
            permissions: role.permissions.iter().map(ToString::to_string).collect(),
            inherits: role.inherits.clone(),
        }
    }

    /// The role as it is wanted, in its stored form.
    fn role(self, users: &Users, name: String) -> Result<Role> {
        let permissions = users.catalogue.patterns("/permissions", &self.permissions)?;
        let Self { description, inherits, .. } = self;
        Ok(cleaned(Role { name, description, permissions, inherits, built_in: false })?)
    }
}

/// The list of roles.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RoleFilters {}

impl Filters for RoleFilters {
    const SORT: &'static [&'static str] = &["name"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

async fn list_roles(
    State(users): State<Users>,
    who: Allowed<RoleRead>,
    list: List<RoleFilters>,
) -> Result<Json<PageOf<RoleView>>> {
    let settings = users.organization(who.organization_id).await?.data.settings;
    let own = users.roles.all(&who.partition(), None, 2 * MAX_ROLES).await?;
    let built_in = users.catalogue.built_in_roles(&settings).into_iter().map(RoleView::from);
    let mut items: Vec<RoleView> = own.into_iter().map(RoleView::from).chain(built_in).collect();
    items.sort_by(|one, other| one.role.name.cmp(&other.role.name));
    if list.order.1 == Direction::Descending {
        items.reverse();
    }
    list.slice(&items, &who.organization_id.to_string()).map(Json)
}

async fn get_role(
    State(users): State<Users>,
    who: Allowed<RoleRead>,
    Path(name): Path<String>,
) -> Result<Json<RoleView>> {
    if is_built_in(&name) {
        let settings = users.organization(who.organization_id).await?.data.settings;
        let role = users.catalogue.built_in_roles(&settings).into_iter().find(|role| role.name == name);
        return role.map(|role| Json(role.into())).ok_or_else(|| Problem::not_found("role").into());
    }
    find(&users, &who.partition(), &name).await.map(|record| Json(record.into()))
}

async fn create_role(
    State(users): State<Users>,
    who: Allowed<RoleCreate>,
    Body(input): Body<NewRole>,
) -> Result<Created<RoleView>> {
    let NewRole { name, description, permissions, inherits } = input;
    if is_built_in(&name) {
        return Err(Failure::problem(Code::AlreadyExists, format!("The role `{name}` is built in.")));
    }
    let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
    let present = users.roles.all(&who.partition(), None, 2 * MAX_ROLES).await?.len();
    fixed_limit("roles", present, MAX_ROLES)?;
    let role = RoleWrite { description, permissions, inherits }.role(&users, name)?;
    check(&users, who.context(), &snapshot, &role)?;
    let mut unit = who.transaction(CONTAINER).await?;
    let record = unit.create(Role::document_id(&role.name), role)?;
    users.raise_version(&mut unit, &snapshot.organization)?;
    unit.emit("role.created", &record.data.name, event(&record.data, &[], &record.data.permissions));
    let location = format!("{}/{}", who.context().path(), record.data.name);
    unit.commit(Created { location, body: record.into() }).await
}

async fn update_role(
    State(users): State<Users>,
    who: Allowed<RoleUpdate>,
    Path(name): Path<String>,
    if_match: IfMatch,
    patch: Patch<RoleWrite>,
) -> Result<Json<RoleView>> {
    refuse_built_in(&name)?;
    let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
    let before = find(&users, &who.partition(), &name).await?;
    if_match.check(&before.meta)?;
    let role = patch.apply(&RoleWrite::of(&before.data))?.role(&users, name)?;
    check(&users, who.context(), &snapshot, &role)?;
    let mut unit = who.transaction(CONTAINER).await?;
    let (record, changes) = unit.replace(&before, role)?;
    users.raise_version(&mut unit, &snapshot.organization)?;
    let data = event(&record.data, &before.data.permissions, &record.data.permissions);
    unit.emit_changes("role.updated", &record.data.name, data, &changes);
    unit.commit(Json(record.into())).await
}

async fn delete_role(
    State(users): State<Users>,
    who: Allowed<RoleDelete>,
    Path(name): Path<String>,
    if_match: IfMatch,
) -> Result<NoContent> {
    refuse_built_in(&name)?;
    let organization = users.organization(who.organization_id).await?;
    let before = find(&users, &who.partition(), &name).await?;
    if_match.check(&before.meta)?;
    let found = users.uses_of_role(&organization, &name).await?;
    if found.any() {
        return Err(Failure::problem(
            Code::InUse,
            format!("The role is in use: {found}. Take it away there first."),
        ));
    }
    let mut unit = who.transaction(CONTAINER).await?;
    unit.delete(&before)?;
    users.raise_version(&mut unit, &organization)?;
    unit.emit("role.deleted", &before.data.name, event(&before.data, &before.data.permissions, &[]));
    unit.commit(NoContent).await
}

/// The payload of the events about a role.
fn event(role: &Role, before: &[Pattern], after: &[Pattern]) -> serde_json::Value {
    json!({"name": role.name, "permissionsBefore": before, "permissionsAfter": after})
}

fn is_built_in(name: &str) -> bool {
    BuiltInRole::ALL.iter().any(|role| role.as_str() == name)
}

fn refuse_built_in(name: &str) -> Result<()> {
    if is_built_in(name) {
        return Err(Failure::problem(
            Code::Immutable,
            "A built-in role cannot be changed; make one of your own.",
        ));
    }
    Ok(())
}

async fn find(users: &Users, partition: &coder_database::Partition, name: &str) -> Result<Record<Role>> {
    // What cannot be a name names nothing.
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(Problem::not_found("role").into());
    }
    users.roles.get(partition, &Role::document_id(name)).await
}

/// Whether the role can be as it is wanted, and the caller may give all that is in it.
fn check(
    users: &Users,
    context: &coder_middleware::RequestContext,
    snapshot: &Snapshot,
    role: &Role,
) -> Result<()> {
    let graph = snapshot.permissions.roles();
    graph.check_change(role).map_err(Problem::from)?;
    let closure = graph.closure_of(role).into_iter();
    let wanted: Vec<Pattern> = closure.flat_map(|one| one.role.permissions.iter().cloned()).collect();
    users.check_gift(context, snapshot, snapshot.scope(), &wanted)
}
