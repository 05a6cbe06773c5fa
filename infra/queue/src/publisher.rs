//! Whoever takes messages for a broker.

use std::time::Duration;

use async_trait::async_trait;

use crate::message::{Message, SIZE_LIMIT};

/// Most messages of one call.
pub const MESSAGES_A_CALL: usize = 100;

/// Sends messages to a broker.
#[async_trait]
pub trait Publisher: Send + Sync + std::fmt::Debug {
    /// Publishes all messages; none, if one of them breaks a rule of [`check`]. All have the same entity; they are
    /// at most [`MESSAGES_A_CALL`], and together no larger than [`SIZE_LIMIT`]. They are delivered in this order to
    /// a subscription with sessions. A message whose id was published to the entity within the last hour is taken
    /// for a repeat and dropped, so that a call whose answer was lost, or that failed half-way, can be made again.
    async fn publish(&self, messages: &[Message]) -> Result<(), PublishError>;
}

/// Why a call failed. Some of its messages may be published all the same, so what is left of it is to be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It may succeed later.
    #[error("the broker does not take messages now: {reason}")]
    Transient {
        /// Why.
        reason: String,
        /// When to try again, if the broker said so.
        retry_after: Option<Duration>,
    },
    /// The broker will never take this message; the others are to be published without it.
    #[error("message {index} will never be taken: {reason}")]
    Permanent {
        /// Which message of the call.
        index: usize,
        /// Why.
        reason: String,
    },
}

impl PublishError {
    /// May succeed later.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::Transient { reason: reason.into(), retry_after: None }
    }
}

/// Refuses what no broker takes: faulty messages, several entities, too much for one call.
pub fn check(messages: &[Message]) -> Result<(), PublishError> {
    let permanent = |index, reason| Err(PublishError::Permanent { index, reason });
    let mut total = 0;
    for (index, message) in messages.iter().enumerate() {
        if let Some(reason) = message.fault() {
            return permanent(index, reason);
        }
        if message.entity != messages[0].entity {
            return permanent(index, "it has another entity than the first message of the call".into());
        }
        total += message.size();
        if total > SIZE_LIMIT {
            return permanent(index, format!("with it the call has more than {SIZE_LIMIT} bytes"));
        }
        if index >= MESSAGES_A_CALL {
            return permanent(index, format!("with it the call has more than {MESSAGES_A_CALL} messages"));
        }
    }
    Ok(())
}
