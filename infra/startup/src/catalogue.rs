//! The permissions of groups that run in other processes, from the manifest of the build.

use coder_core::permission::{BuiltInRole, PermissionDeclaration};
use serde::Deserialize;

/// What `coder manifest` wrote; a test keeps it current.
const MANIFEST: &str = include_str!("../../../bicep/platform.json");

#[derive(Deserialize)]
struct Manifest {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    permissions: Vec<Permission>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    name: String,
    summary: String,
    held_by: String,
}

/// Every permission of the manifest that is not among `own`. Called once, when a process starts: the texts live
/// as long as it does.
pub(crate) fn others(own: &[PermissionDeclaration]) -> Result<Vec<PermissionDeclaration>, serde_json::Error> {
    let manifest: Manifest = serde_json::from_str(MANIFEST)?;
    let all = manifest.groups.into_iter().flat_map(|group| group.permissions);
    let others = all.filter(|permission| own.iter().all(|known| known.name != permission.name));
    Ok(others
        .map(|permission| PermissionDeclaration {
            held_by: role(&permission.held_by),
            name: permission.name.leak(),
            summary: permission.summary.leak(),
        })
        .collect())
}

/// An unknown role is nobody's but the owner's.
fn role(name: &str) -> BuiltInRole {
    BuiltInRole::ALL.into_iter().find(|role| role.as_str() == name).unwrap_or(BuiltInRole::Owner)
}
