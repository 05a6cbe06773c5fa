//! The manifest: everything that the groups declare, as one JSON document for the deployment.

mod faults;

use std::time::Duration;

use coder_database::Destination;
use coder_middleware::describe::AnswerDescription;
use coder_middleware::{OperationDescription, Security};
use coder_queue::limits::{DUPLICATE_WINDOW, Limits};
use serde_json::{Value, json};

use crate::group::{Group, Subscription};

pub use faults::{faults, unknown_groups};

/// The manifest of all groups.
pub fn manifest(groups: &[Group]) -> Value {
    json!({
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "operations": built_in(groups).iter().map(operation).collect::<Vec<_>>(),
        "broker": {
            "duplicateWindow": iso(DUPLICATE_WINDOW),
            "events": topic(Destination::Events),
            "jobs": topic(Destination::Jobs),
        },
    })
}

/// A topic, and how each of its subscriptions treats messages.
fn topic(topic: Destination) -> Value {
    let Limits { lock, deliveries, ttl } = Limits::of(topic);
    json!({
        "topic": topic.name(),
        "lock": iso(lock),
        "maxDeliveries": deliveries,
        "timeToLive": iso(ttl),
    })
}

/// A duration in whole minutes, hours or days as ISO 8601 has it.
fn iso(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes % (24 * 60), minutes % 60) {
        (0, _) => format!("P{}D", minutes / (24 * 60)),
        (_, 0) => format!("PT{}H", minutes / 60),
        _ => format!("PT{minutes}M"),
    }
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
        "streams": streams(operation),
    })
}

/// Whether an answer comes piece by piece, for as long as the caller listens.
pub fn streams(operation: &OperationDescription) -> bool {
    let media = |answer: &AnswerDescription| answer.body.as_ref().map(|(media, ..)| *media);
    operation.answers.iter().any(|answer| media(answer) == Some("text/event-stream"))
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
