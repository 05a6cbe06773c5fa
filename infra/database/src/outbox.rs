//! Events that wait for publishing, kept in the transaction of the change that they tell of.

use std::sync::Arc;

use coder_core::{Failure, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::Change;
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

/// Bytes of JSON above which the long values of an event's changes are cut: a message has 256 KiB.
const CHANGES_BYTES: usize = 128 * 1024;

/// Bytes of JSON above which a value is long, and characters that are kept of a long text. With
/// [`MAX_CHANGES`](crate::audit::MAX_CHANGES) cut values there is room for the rest of the event.
const LONG_VALUE: usize = 512;
const KEPT_CHARACTERS: usize = 100;

/// An event's changes: whole if they fit into a message, else with the beginnings of long texts, and the sizes of
/// other long values.
pub(crate) fn fitting(changes: &[Change]) -> Value {
    let mut whole = json!(changes);
    if whole.to_string().len() <= CHANGES_BYTES {
        return whole;
    }
    for change in whole.as_array_mut().into_iter().flatten() {
        for name in ["from", "to"] {
            let size = change[name].to_string().len();
            if size > LONG_VALUE {
                let text: String =
                    change[name].as_str().unwrap_or_default().chars().take(KEPT_CHARACTERS).collect();
                change[name] = json!(format!("{text}… ({size} bytes)"));
            }
        }
    }
    whole
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::MAX_CHANGES;

    #[test]
    fn changes_are_whole_or_cut_to_what_a_message_holds() {
        let change = |from: Value, to: Value| Change { path: "/body".into(), from, to };
        let usual = [change(json!("x".repeat(60_000)), json!({"a": [1]}))];
        assert_eq!(fitting(&usual), json!(usual));
        let long = change(json!("\u{1}".repeat(70_000)), json!(vec![1; 70_000]));
        let all: Vec<Change> =
            (0..MAX_CHANGES).map(|_| long.clone()).chain([change(json!(1), json!("b"))]).collect();
        let cut = fitting(&all);
        assert!(cut.to_string().len() < CHANGES_BYTES, "{}", cut.to_string().len());
        assert_eq!(cut[0]["from"], format!("{}… (420002 bytes)", "\u{1}".repeat(100)));
        assert_eq!(cut[0]["to"], "… (140001 bytes)");
        assert_eq!(cut[MAX_CHANGES], json!(change(json!(1), json!("b"))));
    }
}
