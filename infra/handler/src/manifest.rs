//! The manifest: everything that the groups declare, as one JSON document for the deployment.

use std::collections::BTreeSet;

use coder_middleware::{OperationDescription, Security};
use serde_json::{Value, json};

use crate::functions::{DEADLINE, ON_DEAD_LETTER, ON_EVENT};
use crate::group::Group;

/// The manifest of all groups.
pub fn manifest(groups: &[Group]) -> Value {
    json!({
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "operations": built_in(groups).iter().map(operation).collect::<Vec<_>>(),
    })
}

fn group(group: &Group) -> Value {
    let permissions = group.permissions.iter().map(|permission| {
        json!({"name": permission.name, "summary": permission.summary, "heldBy": permission.held_by.as_str()})
    });
    let own = group.operations.iter().filter(|one| !one.built_in).map(operation);
    let consumers = group.consumers.iter().map(|(name, events)| json!({"name": name, "events": events}));
    json!({
        "name": group.name,
        "summary": group.summary,
        "containers": group.containers,
        "permissions": permissions.collect::<Vec<_>>(),
        "operations": own.collect::<Vec<_>>(),
        "consumers": consumers.collect::<Vec<_>>(),
        "subscription": group.subscription(),
        "functions": functions(group),
        "jobs": group.jobs,
    })
}

fn operation(operation: &OperationDescription) -> Value {
    json!({
        "operationId": operation.id,
        "method": operation.method.as_str(),
        "path": operation.path,
        "public": operation.access() == Security::Anyone,
        "bodyLimitBytes": operation.body_limit,
    })
}

/// Each function with what starts it.
fn functions(group: &Group) -> Vec<Value> {
    let trigger = |name: &String| match name.as_str() {
        ON_EVENT => json!({"name": name, "trigger": "subscription"}),
        ON_DEAD_LETTER => json!({"name": name, "trigger": "subscriptionDeadLetters"}),
        name => match group.timers.iter().find(|(timer, _)| name.strip_prefix("every-") == Some(timer)) {
            Some((_, schedule)) => json!({"name": name, "trigger": "timer", "schedule": schedule}),
            None => json!({"name": name, "trigger": "jobs"}),
        },
    };
    group.functions().iter().map(trigger).collect()
}

/// The operations that every group has, each once, with `{group}` in its path.
pub(crate) fn built_in(groups: &[Group]) -> Vec<OperationDescription> {
    let mut found = Vec::<OperationDescription>::new();
    for group in groups {
        for operation in group.operations.iter().filter(|one| one.built_in) {
            if found.iter().all(|known| known.id != operation.id) {
                let own = format!("/api/{}/", group.name);
                let path = operation.path.replacen(&own, "/api/{group}/", 1);
                found.push(OperationDescription { path, ..operation.clone() });
            }
        }
    }
    found
}

/// What is wrong with the declarations, each fault with the place to mend; empty if all is well.
pub fn faults(groups: &[Group]) -> Vec<String> {
    let mut faults = Faults::default();
    for group in groups {
        faults.unique("group", group.name);
        for container in &group.containers {
            faults.unique("container", container.name);
        }
        faults.permissions(group);
        faults.functions(group);
        for operation in &group.operations {
            faults.operation(group, operation);
        }
    }
    for operation in built_in(groups) {
        faults.unique("operation", operation.id);
    }
    faults.found
}

#[derive(Default)]
struct Faults {
    found: Vec<String>,
    seen: BTreeSet<String>,
}

impl Faults {
    fn add(&mut self, fault: String) {
        self.found.push(fault);
    }

    fn unique(&mut self, kind: &str, name: &str) {
        if !self.seen.insert(format!("{kind} {name}")) {
            self.add(format!("{kind} `{name}` is declared twice"));
        }
    }

    fn permissions(&mut self, group: &Group) {
        for permission in group.permissions {
            self.unique("permission", permission.name);
            let prefix = format!("{}.", group.name);
            if !permission.name.starts_with(&prefix) || permission.name.split('.').count() != 3 {
                self.add(format!(
                    "permission `{}` of group `{}` is not `{prefix}<resource>.<action>`",
                    permission.name, group.name
                ));
            }
        }
    }

    fn functions(&mut self, group: &Group) {
        if !group.consumers.is_empty() && group.containers.is_empty() {
            self.add(format!("group `{}` has consumers, and no container to remember events in", group.name));
        }
        for ((name, _), options) in group.consumers.iter().zip(&group.consumer_options) {
            self.unique("consumer", &format!("{}/{name}", group.name));
            self.name(group, name);
            if options.deadline > DEADLINE || options.deadline.is_zero() || options.max_attempts == 0 {
                let most = DEADLINE.as_secs();
                self.add(format!(
                    "consumer `{name}` of group `{}` needs a deadline of 1 to {most} s and an attempt",
                    group.name
                ));
            }
        }
        for (name, schedule) in &group.timers {
            self.unique("timer", &format!("{}/{name}", group.name));
            self.name(group, name);
            if let Err(error) = coder_jobs::Schedule::parse(schedule) {
                self.add(format!("timer `{name}` of group `{}`: {error}", group.name));
            }
        }
    }

    fn name(&mut self, group: &Group, name: &str) {
        let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !fits || name.is_empty() || name.len() > 100 {
            self.add(format!(
                "`{name}` of group `{}` is not lower-case with hyphens, 1 to 100 characters",
                group.name
            ));
        }
    }

    fn operation(&mut self, group: &Group, operation: &OperationDescription) {
        // What every group has is one operation of the platform, told apart by the path.
        if operation.built_in {
            self.unique("operation", &format!("{}/{}", group.name, operation.id));
        } else {
            self.unique("operation", operation.id);
        }
        self.unique("route", &format!("{} {}", operation.method, operation.path));
        if operation.security.len() != 1 {
            let count = operation.security.len();
            self.add(format!("operation `{}` has {count} access arguments, not one", operation.id));
        }
        if let Security::Permission(permission) = operation.access()
            && !group.permissions.contains(permission)
        {
            self.add(format!(
                "operation `{}` needs `{}`, which the group does not declare",
                operation.id, permission.name
            ));
        }
    }
}
