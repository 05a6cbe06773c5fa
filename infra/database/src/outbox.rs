//! Events that wait for publishing, kept in the transaction of the change that they tell of.

use std::sync::Arc;

use coder_core::{Failure, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entity::{Entity, Record};
use crate::repository::Partition;
use crate::store::{DocumentStore, Operation, StoreError};

/// Where a recorded message goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// The topic of events, to every group that asked for the type.
    #[default]
    Events,
    /// The queue of one-time jobs, to the group that declares the job.
    Jobs,
}

impl Destination {
    /// The name of the broker's topic or queue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "coder-events",
            Self::Jobs => "coder-jobs",
        }
    }
}

/// What the id of every outbox document begins with; the rest is the id of the message.
pub const ID_PREFIX: &str = "outbox:";

/// An event that was recorded and is not yet published. Deleted once published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxRecord {
    /// The event in the JSON form of CloudEvents 1.0; a message of [`Destination::Jobs`] has the same form.
    pub event: Value,
    /// Where it goes.
    #[serde(default)]
    pub destination: Destination,
    /// The only group that is to have it; all that asked for the type, if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The only consumer of the target that is to have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// When the message is to be delivered; it is published before, and the broker keeps it until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Failed attempts to publish so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The next attempt to publish is not made before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The broker will never take it: it is kept for people to look at and is not tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dead: bool,
}

impl OutboxRecord {
    /// A record of an event for everybody who asked for its type.
    pub fn new(event: Value) -> Self {
        Self {
            event,
            destination: Destination::Events,
            target: None,
            consumer: None,
            due: None,
            attempts: 0,
            last_error: None,
            not_before: None,
            dead: false,
        }
    }
}

impl Entity for OutboxRecord {
    const TYPE: &'static str = "outbox";
}

/// Removes a record that is published, or writes what is left of it. [`Failure::Stale`] if somebody else was
/// faster.
pub async fn settle(
    store: &Arc<dyn DocumentStore>,
    container: &str,
    partition: &Partition,
    record: &Record<OutboxRecord>,
    rest: Option<OutboxRecord>,
) -> Result<(), Failure> {
    let (id, if_match) = (record.meta.id.clone(), record.store_etag.clone());
    let operation = match rest {
        None => Operation::Delete { id, if_match },
        Some(data) => {
            let body = Record { data, ..record.clone() }.to_body(&partition.fields())?;
            Operation::Replace { id, body, expires_at: None, if_match }
        }
    };
    match store.write(container, &partition.key(), vec![operation]).await {
        Ok(_) => Ok(()),
        Err(StoreError::NotFound { .. } | StoreError::PreconditionFailed { .. }) => Err(Failure::Stale),
        Err(error) => Err(error.into()),
    }
}
