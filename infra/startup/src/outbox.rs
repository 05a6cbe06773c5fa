//! What happens when events are committed and when they are published, besides publishing; and the sweep.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coder_database::PlatformJob;
use coder_database::transaction::OutboxEntry;
use coder_gateway::RouteTable;
use coder_queue::{Dispatcher, Message, OutboxNotifier, PublishError, Publisher};
use coder_telemetry::Metrics;

use crate::directory::Directory;

/// How often the outboxes are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Leaves committed events to whoever sweeps the outboxes: for processes that only record them.
#[derive(Debug, Clone, Copy)]
pub struct LeftForTheSweep;

impl OutboxNotifier for LeftForTheSweep {
    fn committed(&self, _: Vec<OutboxEntry>) {}
}

/// The container whose events can change what somebody may do.
const PERMISSION_CONTAINER: &str = "users";

/// Forgets resolved permissions at every commit that may have changed some, then passes the events on.
#[derive(Debug)]
pub(crate) struct PermissionWatch {
    pub(crate) next: Arc<dyn OutboxNotifier>,
    pub(crate) directory: Arc<Directory>,
}

impl OutboxNotifier for PermissionWatch {
    fn committed(&self, entries: Vec<OutboxEntry>) {
        if entries.iter().any(|entry| entry.container == PERMISSION_CONTAINER) {
            self.directory.forget_permissions();
        }
        self.next.committed(entries);
    }
}

/// Counts what is published, by the group that publishes.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) next: Arc<dyn Publisher>,
    pub(crate) metrics: Metrics,
}

#[async_trait]
impl Publisher for Counted {
    async fn publish(&self, messages: &[Message]) -> Result<(), PublishError> {
        self.next.publish(messages).await?;
        for message in messages {
            let group = message.event_type().split('.').nth(1);
            if let Some(group) = group.and_then(|name| RouteTable::PLATFORM.group(name)) {
                self.metrics.event_published(group.name);
            }
        }
        Ok(())
    }
}

/// Publishes every few seconds, for ever, what waits in the outboxes of these containers: what a process that
/// died left behind, and what the broker did not take at first.
pub async fn sweep(dispatcher: Arc<Dispatcher>, containers: Vec<&'static str>, metrics: Metrics) {
    let job = PlatformJob::begin();
    let mut pause = tokio::time::interval(SWEEP_EVERY);
    loop {
        pause.tick().await;
        for container in &containers {
            match dispatcher.sweep(&job, container).await {
                Ok(found) => metrics.outbox_pending(container, found),
                Err(failure) => tracing::warn!(container, cause = %failure, "an outbox could not be swept"),
            }
        }
    }
}
