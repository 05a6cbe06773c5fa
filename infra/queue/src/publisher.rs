//! Whoever takes events from the outbox: a broker, or the consumers of this process directly.

use async_trait::async_trait;
use coder_database::OutboxRecord;

/// What came of an attempt to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// Consumers that have the event now, those of earlier attempts included; empty for a broker.
    pub delivered: Vec<String>,
    /// Consumers that will never take the event, with the reason.
    pub rejected: Vec<(String, String)>,
    /// Why some consumer, or the broker, has it not yet; the event is tried again.
    pub pending: Option<String>,
}

/// Takes events. Taking one twice must be harmless.
#[async_trait]
pub trait Publisher: Send + Sync + std::fmt::Debug {
    /// Publishes one event.
    async fn publish(&self, record: &OutboxRecord) -> Publication;
}
