//! Delivers events to the consumers of this process, in the envelope that the Functions host sends.

use std::sync::OnceLock;

use async_trait::async_trait;
use coder_database::{Destination, OutboxRecord};
use coder_gateway::RouteTable;
use coder_handler::functions::{Functions, Outcome, envelope};
use coder_queue::{Publication, Publisher};
use coder_telemetry::{Consumption, Metrics};

/// A consumer of this process.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    /// The group that consumes.
    pub(crate) group: &'static str,
    /// The consumer, as it is declared.
    pub(crate) consumer: &'static str,
    /// `<group>/<function>`.
    pub(crate) name: String,
    /// Which event types it takes.
    pub(crate) pattern: &'static str,
    /// The function's name in its group.
    pub(crate) function: String,
    /// The group's functions.
    pub(crate) functions: Functions,
}

impl Subscriber {
    fn takes(&self, record: &OutboxRecord) -> bool {
        match record.destination {
            Destination::Events => matches(self.pattern, record.event["type"].as_str().unwrap_or_default()),
            Destination::Jobs => self.function == "run-job" && record.event["data"]["group"] == self.group,
        }
    }
}

/// Stands for the broker: an event leaves the outbox when every consumer has it.
#[derive(Debug)]
pub(crate) struct LocalDelivery {
    metrics: Metrics,
    subscribers: OnceLock<Vec<Subscriber>>,
}

impl LocalDelivery {
    /// Delivers to nobody yet.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, subscribers: OnceLock::new() }
    }

    /// Names the consumers; before that, every event waits.
    pub(crate) fn subscribe(&self, subscribers: Vec<Subscriber>) {
        if self.subscribers.set(subscribers).is_err() {
            tracing::error!("the consumers were named twice; the first list stays");
        }
    }
}

#[async_trait]
impl Publisher for LocalDelivery {
    async fn publish(&self, record: &OutboxRecord) -> Publication {
        let Some(subscribers) = self.subscribers.get() else {
            return Publication {
                pending: Some("the platform is starting".into()),
                ..Publication::default()
            };
        };
        let mut publication = Publication { delivered: record.delivered.clone(), ..Publication::default() };
        let kind = record.event["type"].as_str().unwrap_or_default();
        let id = record.event["id"].as_str().unwrap_or_default();
        let done = |name: &String| {
            record.delivered.contains(name)
                || record.rejected.iter().any(|rejection| rejection.consumer == *name)
        };
        for subscriber in subscribers {
            if !subscriber.takes(record) || done(&subscriber.name) {
                continue;
            }
            let envelope = envelope(&record.event, id, record.attempts + 1);
            let consumption = match subscriber.functions.invoke(&subscriber.function, envelope, id).await {
                Outcome::Done(_) => {
                    publication.delivered.push(subscriber.name.clone());
                    Consumption::Done
                }
                Outcome::Reject(reason) => {
                    publication.rejected.push((subscriber.name.clone(), reason));
                    Consumption::Rejected
                }
                Outcome::Retry(reason) => {
                    publication.pending = Some(format!("{}: {reason}", subscriber.name));
                    Consumption::Retry
                }
            };
            self.metrics.event_consumed(subscriber.group, subscriber.consumer, consumption);
        }
        let publisher = kind.split('.').nth(1).and_then(|group| RouteTable::PLATFORM.group(group));
        if let (None, Some(group)) = (&publication.pending, publisher) {
            self.metrics.event_published(group.name);
        }
        publication
    }
}

/// Whether a pattern covers an event type: segments are equal or `*`; a last `*` covers all that follow.
fn matches(pattern: &str, kind: &str) -> bool {
    let mut wanted = pattern.split('.').peekable();
    let mut given = kind.split('.');
    while let Some(segment) = wanted.next() {
        let Some(name) = given.next() else { return false };
        if segment == "*" && wanted.peek().is_none() {
            return true;
        }
        if segment != "*" && segment != name {
            return false;
        }
    }
    given.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_by_segment() {
        assert!(matches("coder.users.membership.removed", "coder.users.membership.removed"));
        assert!(matches("coder.*", "coder.users.membership.removed"));
        assert!(matches("coder.ai.completion.*", "coder.ai.completion.finished"));
        assert!(matches("coder.*.user.purged", "coder.users.user.purged"));
        assert!(!matches("coder.users.membership.removed", "coder.users.membership.removed.twice"));
        assert!(!matches("coder.users.*", "coder.users"));
        assert!(!matches("coder.user.*", "coder.users.user.purged"));
    }
}
