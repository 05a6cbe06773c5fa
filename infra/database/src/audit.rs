//! Audit entries, and the list of changes that they and update events carry.

use coder_core::Actor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entity::Entity;

/// Seconds an entry stays in its group's container; the logging group keeps the long record.
pub const RETENTION_SECONDS: i64 = 90 * 24 * 3600;

/// Most changes that one entry lists.
pub const MAX_CHANGES: usize = 100;

/// One act of one actor, written in the transaction of the act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Who did it.
    pub actor: Actor,
    /// What: the operation id of the request, or the name of the consumer or job.
    pub action: String,
    /// To what: `<type>/<id>` of each document that changed.
    pub targets: Vec<String>,
    /// What changed, without secret values.
    pub changes: Vec<Change>,
    /// The request that did it.
    pub request_id: String,
}

impl Entity for AuditEntry {
    const TYPE: &'static str = "audit";
}

/// One changed field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Change {
    /// JSON pointer of the field.
    pub path: String,
    /// The value before; null if there was none.
    pub from: Value,
    /// The value after; null if there is none.
    pub to: Value,
}

/// Fields that change at every write and tell nothing.
const SILENT: &[&str] = &["updatedAt", "updatedBy", "etag"];

/// The top-level fields that differ between two documents; the values of `secret` ones are masked.
pub fn changes(before: &Value, after: &Value, secret: &[&str]) -> Vec<Change> {
    let empty = serde_json::Map::new();
    let before = before.as_object().unwrap_or(&empty);
    let after = after.as_object().unwrap_or(&empty);
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names
        .filter(|name| !SILENT.contains(&name.as_str()) && before.get(*name) != after.get(*name))
        .take(MAX_CHANGES)
        .map(|name| {
            let show = |value: Option<&Value>| match value {
                None | Some(Value::Null) => Value::Null,
                Some(_) if secret.contains(&name.as_str()) => Value::String("[redacted]".into()),
                Some(value) => value.clone(),
            };
            let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            Change { path, from: show(before.get(name)), to: show(after.get(name)) }
        })
        .collect()
}
