//! The manifest: everything that the groups declare, as one JSON document for the deployment.

use serde_json::{Value, json};

use crate::group::Group;

/// The manifest of all groups.
pub fn manifest(groups: &[Group]) -> Value {
    json!({"groups": groups.iter().map(group).collect::<Vec<_>>()})
}

fn group(group: &Group) -> Value {
    let permissions = group.permissions.iter().map(|permission| {
        json!({"name": permission.name, "summary": permission.summary, "heldBy": permission.held_by.as_str()})
    });
    let operations = group.operations.iter().map(|operation| {
        json!({
            "operationId": operation.id,
            "method": operation.method.as_str(),
            "path": operation.path,
            "public": operation.access() == coder_middleware::Security::Anyone,
            "bodyLimitBytes": operation.body_limit,
        })
    });
    json!({
        "name": group.name,
        "summary": group.summary,
        "containers": group.containers,
        "permissions": permissions.collect::<Vec<_>>(),
        "operations": operations.collect::<Vec<_>>(),
        "consumers": group.consumers.iter().map(|(name, pattern)| json!({"function": format!("on-{name}"), "events": pattern})).collect::<Vec<_>>(),
        "timers": group.timers.iter().map(|(name, schedule)| json!({"function": format!("every-{name}"), "schedule": schedule})).collect::<Vec<_>>(),
        "jobs": group.jobs,
    })
}

/// What is wrong with the declarations, each fault with the place to mend; empty if all is well.
pub fn faults(groups: &[Group]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut unique = |kind: &str, name: &str, faults: &mut Vec<String>| {
        if !seen.insert(format!("{kind} {name}")) {
            faults.push(format!("{kind} `{name}` is declared twice"));
        }
    };
    for group in groups {
        unique("group", group.name, &mut faults);
        for container in &group.containers {
            unique("container", container.name, &mut faults);
        }
        for permission in group.permissions {
            unique("permission", permission.name, &mut faults);
            let prefix = format!("{}.", group.name);
            if !permission.name.starts_with(&prefix) || permission.name.split('.').count() != 3 {
                faults.push(format!(
                    "permission `{}` of group `{}` is not `{prefix}<resource>.<action>`",
                    permission.name, group.name
                ));
            }
        }
        for (name, schedule) in &group.timers {
            if let Err(error) = coder_jobs::Schedule::parse(schedule) {
                faults.push(format!("timer `{name}` of group `{}`: {error}", group.name));
            }
        }
        let consumers = group.consumers.iter().map(|(name, _)| format!("on-{name}"));
        let timers = group.timers.iter().map(|(name, _)| format!("every-{name}"));
        for function in consumers.chain(timers) {
            unique("function", &format!("{}/{function}", group.name), &mut faults);
        }
        let functions =
            group.consumers.iter().map(|(name, _)| *name).chain(group.timers.iter().map(|(name, _)| *name));
        for name in functions {
            let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && name.len() <= 100;
            if !fits {
                faults.push(format!(
                    "function `{name}` of group `{}` is not lower-case with hyphens",
                    group.name
                ));
            }
        }
        for operation in &group.operations {
            unique("operation", operation.id, &mut faults);
            unique("route", &format!("{} {}", operation.method, operation.path), &mut faults);
            if operation.security.len() != 1 {
                faults.push(format!(
                    "operation `{}` has {} access arguments, not one",
                    operation.id,
                    operation.security.len()
                ));
            }
            if let coder_middleware::Security::Permission(permission) = operation.access()
                && !group.permissions.contains(permission)
            {
                faults.push(format!(
                    "operation `{}` needs `{}`, which the group does not declare",
                    operation.id, permission.name
                ));
            }
        }
    }
    faults
}
