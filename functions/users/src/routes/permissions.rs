//! The catalogue of permissions, as the code declares it.

use coder_core::Result;
use coder_database::{Direction, Filter};
use coder_handler::Routes;
use coder_middleware::{Allowed, Example, Filters, Json, List, PageOf, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::RoleRead;
use crate::service::Users;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes.get("/permissions", "list_permissions", "List every permission there is", list_permissions)
}

/// A permission of the catalogue.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionView {
    /// `<group>.<resource>.<action>`.
    pub name: String,
    /// The group that declares it.
    pub group: String,
    /// What it allows.
    pub meaning: String,
    /// The built-in roles that hold it, highest first.
    pub held_by: Vec<String>,
}

impl Example for PermissionView {
    fn example() -> Self {
        Self {
            name: "users.team.read".to_owned(),
            group: "users".to_owned(),
            meaning: "See teams and who is in them.".to_owned(),
            held_by: ["owner", "admin", "member", "viewer"].map(str::to_owned).to_vec(),
        }
    }
}

/// Filters of the catalogue.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PermissionFilters {
    /// Only what this group declares.
    #[schemars(length(min = 1, max = 40))]
    pub group: Option<String>,
}

impl Filters for PermissionFilters {
    const SORT: &'static [&'static str] = &["name"];

    fn filter(&self) -> Option<Filter> {
        self.group.as_deref().map(|group| Filter::eq("group", group))
    }
}

async fn list_permissions(
    State(users): State<Users>,
    who: Allowed<RoleRead>,
    list: List<PermissionFilters>,
) -> Result<Json<PageOf<PermissionView>>> {
    let settings = users.organization(who.organization_id).await?.data.settings;
    let view = |name: &'static str, meaning: &str| PermissionView {
        name: name.to_owned(),
        group: name.split('.').next().unwrap_or_default().to_owned(),
        meaning: meaning.to_owned(),
        held_by: users
            .catalogue
            .holders(name, &settings)
            .into_iter()
            .map(|role| role.as_str().to_owned())
            .collect(),
    };
    let declared = users.catalogue.declarations().iter();
    let mut items: Vec<_> = declared.map(|one| view(one.name, one.summary)).collect();
    items.retain(|one| list.filters.group.as_ref().is_none_or(|group| one.group == *group));
    if list.order.1 == Direction::Descending {
        items.reverse();
    }
    list.slice(&items, &who.organization_id.to_string()).map(Json)
}
