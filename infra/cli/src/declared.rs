//! The route groups as they are declared, once it is certain that they fit together.

use anyhow::bail;
use coder_gateway::RouteTable;
use coder_handler::{Group, manifest};
use serde_json::{Map, Value, json};

/// Where events come from beside the groups.
const OTHER_SOURCES: [&str; 1] = ["gateway"];

/// All route groups. Refused, with the lines to mend, is what could not be deployed.
pub fn groups() -> anyhow::Result<Vec<Group>> {
    let groups = coder_platform::route_groups();
    let table = RouteTable::PLATFORM.groups().map(|group| group.name);
    let known: Vec<&str> = table.chain(OTHER_SOURCES).collect();
    let mut faults = manifest::faults(&groups);
    faults.extend(manifest::unknown_groups(&groups, &known));
    if !faults.is_empty() {
        bail!("the route groups do not fit together:\n  {}", faults.join("\n  "));
    }
    Ok(groups)
}

/// The manifest: what the groups declare, and the gateway's route table with every group of the platform.
pub fn manifest(groups: &[Group]) -> Value {
    let routes = RouteTable::PLATFORM.groups().map(|group| {
        let limits = json!({
            "headerTimeoutSeconds": group.header_timeout.as_secs(),
            "bodyLimitBytes": group.body_limit,
            "streams": group.streams,
        });
        (group.name.to_owned(), limits)
    });
    let mut manifest = manifest::manifest(groups);
    manifest["routes"] = Value::Object(routes.collect::<Map<_, _>>());
    manifest
}

/// The groups of these names, in the order of the platform; all, if there is no name.
pub fn chosen(names: &[String]) -> anyhow::Result<Vec<Group>> {
    let groups = groups()?;
    for name in names {
        if !groups.iter().any(|group| group.name == name) {
            let known: Vec<&str> = groups.iter().map(|group| group.name).collect();
            bail!("there is no route group `{name}`; choose from {}", known.join(", "));
        }
    }
    let wanted = |group: &Group| names.is_empty() || names.iter().any(|name| name == group.name);
    Ok(groups.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_groups_can_be_deployed_and_chosen() {
        assert!(groups().unwrap().len() >= 2);
        let names = |chosen: Vec<Group>| chosen.iter().map(|group| group.name).collect::<Vec<_>>();
        assert_eq!(names(chosen(&["users".into(), "auth".into()]).unwrap()), ["auth", "users"]);
        let error = chosen(&["auth".into(), "user".into()]).unwrap_err().to_string();
        assert!(error.contains("`user`") && error.contains("auth, users"), "{error}");
    }
}
