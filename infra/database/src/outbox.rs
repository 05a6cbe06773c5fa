//! Events that wait for publishing, kept in the transaction of the change that they tell of.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entity::Entity;

/// An event that was recorded and is not yet published. Deleted once published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxRecord {
    /// The event in the JSON form of CloudEvents 1.0.
    pub event: Value,
    /// Failed attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Not to be tried before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<coder_core::Timestamp>,
}

impl Entity for OutboxRecord {
    const TYPE: &'static str = "outbox";
}
