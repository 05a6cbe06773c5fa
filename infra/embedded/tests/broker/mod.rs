//! The broker against the suite of every publisher, against its own promises, a simple model, and `kill -9`.

mod kill;
mod locks;
mod model;
mod sessions;
mod topics;

use std::sync::Arc;

use async_trait::async_trait;
use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_embedded::broker::{Delivery, Source, Subscription};
use coder_embedded::{Options, SqliteBroker};
use coder_queue::contract::{self, Inspect, Subject};
use coder_queue::{Entity, Message, Publisher as _};
use jiff::SignedDuration;
use serde_json::json;
use tempfile::TempDir;

mod suite {
    coder_queue::contract_tests!(crate::broker::subject);
}

/// A broker in a directory of its own.
struct Fixture {
    broker: Arc<SqliteBroker>,
    clock: ManualClock,
    directory: TempDir,
}

#[derive(Debug)]
struct Taker(Arc<SqliteBroker>);

#[async_trait]
impl Inspect for Taker {
    async fn take(&self, entity: Entity, group: &str) -> Vec<Message> {
        let source = match entity {
            Entity::Events => Source::subscription(group),
            Entity::Jobs => Source::jobs(group),
        };
        take_all(&self.0, &source).await.into_iter().map(|delivery| delivery.message).collect()
    }
}

async fn subject() -> Subject {
    let subscriptions =
        contract::SUBSCRIPTIONS.map(|(group, patterns)| Subscription::new(group, patterns.iter().copied()));
    let Fixture { broker, clock, directory } = Fixture::with(contract::start(), &subscriptions).await;
    Subject { publisher: broker.clone(), inspect: Arc::new(Taker(broker)), clock, keep: Box::new(directory) }
}

impl Fixture {
    /// With the subscription `users` to everything.
    async fn new() -> Self {
        Self::with(Timestamp::UNIX_EPOCH, &[Subscription::new("users", ["coder.*"])]).await
    }

    async fn with(start: Timestamp, subscriptions: &[Subscription]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(start);
        let broker = Arc::new(open(&directory, &clock));
        broker.subscribe(subscriptions).await.unwrap();
        Self { broker, clock, directory }
    }

    async fn publish(&self, messages: &[Message]) {
        self.broker.publish(messages).await.unwrap();
    }

    async fn receive(&self, source: &Source) -> Vec<Delivery> {
        self.broker.receive(source, 100).await.unwrap()
    }

    /// The only message that can be received.
    async fn one(&self, source: &Source) -> Delivery {
        let mut found = self.receive(source).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    async fn ids(&self, source: &Source) -> Vec<String> {
        self.receive(source).await.into_iter().map(|delivery| delivery.message.id).collect()
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }
}

fn open(directory: &TempDir, clock: &ManualClock) -> SqliteBroker {
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    SqliteBroker::open(directory.path(), &Options::default(), ambient).unwrap()
}

/// What the fixture's subscription holds.
fn users() -> Source {
    Source::subscription("users")
}

fn event(id: &str) -> Message {
    let event =
        json!({"id": id, "type": "coder.notes.note.made", "subject": "s", "organizationid": "platform"});
    Message::of_event(id, Entity::Events, &event)
}

async fn take_all(broker: &SqliteBroker, source: &Source) -> Vec<Delivery> {
    let mut all = Vec::new();
    loop {
        let found = broker.receive(source, 50).await.unwrap();
        if found.is_empty() {
            return all;
        }
        for delivery in found {
            broker.complete(&delivery.lock).await.unwrap();
            all.push(delivery);
        }
    }
}
