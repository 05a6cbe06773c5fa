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

/// Those of its events that change nobody's permissions at anything that was there before.
const CHANGES_NONE: [&str; 5] = [
    "coder.users.invitation.sent",
    "coder.users.project.created",
    "coder.users.team.created",
    "coder.users.user.created",
    "coder.users.user.updated",
];

/// Forgets resolved permissions at every commit that may have changed some, then passes the events on.
#[derive(Debug)]
pub(crate) struct PermissionWatch {
    pub(crate) next: Arc<dyn OutboxNotifier>,
    pub(crate) directory: Arc<Directory>,
}

impl OutboxNotifier for PermissionWatch {
    fn committed(&self, entries: Vec<OutboxEntry>) {
        let may_change = |entry: &&OutboxEntry| {
            entry.container == PERMISSION_CONTAINER && !CHANGES_NONE.contains(&entry.event_type.as_str())
        };
        for entry in entries.iter().filter(may_change) {
            self.directory.forget_permissions(entry.partition.organization_id());
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::post;
    use axum::{Json, Router};
    use coder_core::{Ambient, OrganizationId, Scope, UserId};
    use coder_database::Partition;
    use coder_handler::{Peer, Peers};
    use coder_middleware::runtime::Authorizer as _;
    use coder_middleware::token::ServiceTokens;
    use serde_json::json;

    use super::*;

    struct World {
        watch: PermissionWatch,
        user: UserId,
        asked: Arc<AtomicUsize>,
    }

    /// A process and a `users` group that counts how often it is asked.
    fn world() -> World {
        let ambient = Ambient::system();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let answer = async move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Json(json!({"permissions": ["users.team.read"]}))
        };
        let users = Router::new().route("/api/users/internal/permissions", post(answer));
        let tokens = Arc::new(ServiceTokens::new(ambient.clone(), &[7; 32]));
        let peers = Arc::new(Peers::new("platform", tokens, reqwest::Client::new()));
        peers.register("users", Peer::InProcess(users));
        let directory = Arc::new(Directory::new(ambient.clone(), peers));
        let next = Arc::new(LeftForTheSweep);
        World { watch: PermissionWatch { next, directory }, user: ambient.new_id(), asked }
    }

    impl World {
        /// How often `users` is asked for the person's permissions in both organizations after such a commit.
        async fn asks_after(
            &self,
            (partition, event): (Partition, &str),
            organizations: [OrganizationId; 2],
        ) -> usize {
            for id in organizations {
                self.ask(id).await;
            }
            let before = self.asked.load(Ordering::SeqCst);
            let (container, id) = (PERMISSION_CONTAINER, "outbox:1".to_owned());
            let event_type = event.to_owned();
            self.watch.committed(vec![OutboxEntry { container, partition, id, event_type }]);
            for id in organizations {
                self.ask(id).await;
            }
            self.asked.load(Ordering::SeqCst) - before
        }

        async fn ask(&self, id: OrganizationId) {
            let found = self.watch.directory.permissions(id, self.user, Scope::Organization(id)).await;
            assert!(found.unwrap().allows("users.team.read"));
        }
    }

    #[tokio::test]
    async fn a_change_is_seen_at_once_and_asked_for_only_where_it_may_matter() {
        let world = world();
        let ambient = Ambient::system();
        let organizations: [OrganizationId; 2] = [ambient.new_id(), ambient.new_id()];
        let [here, _] = organizations.map(Partition::organization);
        let asks = async |partition: &Partition, event| {
            world.asks_after((partition.clone(), event), organizations).await
        };
        assert_eq!(asks(&here, "coder.users.grant.added").await, 1, "the other organization's stay");
        assert_eq!(asks(&here, "coder.users.something.new").await, 1, "what is not known to be harmless");
        assert_eq!(asks(&here, "coder.users.team.created").await, 0);
        let person = Partition::user(world.user);
        assert_eq!(asks(&person, "coder.users.user.deactivated").await, 2, "a person is in any organization");
    }
}
