//! The manifest: everything that the groups declare, as one JSON document for the deployment.

mod faults;

use coder_middleware::{OperationDescription, Security};
use serde_json::{Value, json};

use crate::group::{Group, Subscription};

pub use faults::{faults, unknown_groups};

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
        "subscription": group.subscription().map(|one| subscription(group.name, &one)),
        "functions": group.app(),
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

fn subscription(group: &str, subscription: &Subscription) -> Value {
    let Subscription { patterns, ordered } = subscription;
    json!({"patterns": patterns, "ordered": ordered, "filter": subscription.filter(group)})
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
