//! Publishing to Service Bus and its dead letters, on a double of its REST interface.

mod dead_letters;
mod faults;
mod outbox;
mod publish;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientOptions;
use azure_core::time::{Duration, OffsetDateTime};
use coder_azure::service_bus::ServiceBus;
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_embedded::broker::{Source, Subscription};
use coder_embedded::{Options, SqliteBroker};
use coder_queue::contract::{self, Inspect, Subject};
use coder_queue::{Entity, Message};
use serde_json::json;
use tempfile::TempDir;

use crate::doubles::service_bus::{Answer, Front, NAMESPACE};
use crate::doubles::transport::{InProcess, Loopback};

mod suite {
    coder_queue::contract_tests!(crate::service_bus::subject);
}

/// Gives numbered tokens for an hour, unless it is told to fail or to give shorter ones.
#[derive(Debug, Default)]
struct Identity {
    calls: AtomicUsize,
    minutes: Mutex<Option<i64>>,
    scopes: Mutex<Vec<String>>,
    fault: Mutex<Option<&'static str>>,
}

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.scopes.lock().unwrap().extend(scopes.iter().map(|&scope| scope.to_owned()));
        if let Some(fault) = *self.fault.lock().unwrap() {
            return Err(Error::with_message(ErrorKind::Credential, fault));
        }
        // The SDK compares with the machine's clock.
        let until = OffsetDateTime::now_utc() + Duration::minutes(self.minutes.lock().unwrap().unwrap_or(60));
        Ok(AccessToken::new(format!("token-{number}"), until))
    }
}

/// A broker, the double before it, and the publisher under test.
struct World {
    bus: ServiceBus,
    front: Arc<Front>,
    broker: Arc<SqliteBroker>,
    identity: Arc<Identity>,
    clock: ManualClock,
    directory: TempDir,
}

impl World {
    /// Without a socket.
    async fn new() -> Self {
        Self::with(|front| InProcess::to(NAMESPACE, front.router())).await
    }

    /// Over a socket.
    async fn on_a_socket() -> Self {
        let mut world = Self::new().await;
        let port = world.front.serve().await;
        world.bus = world.bus_by(Loopback::to(NAMESPACE, port));
        world
    }

    async fn with(options: impl FnOnce(&Arc<Front>) -> ClientOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(contract::start());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let broker = SqliteBroker::open(directory.path(), &Options::default(), ambient.clone()).unwrap();
        let subscriptions = contract::SUBSCRIPTIONS
            .map(|(group, patterns)| Subscription::new(group, patterns.iter().copied()));
        broker.subscribe(&subscriptions).await.unwrap();
        let broker = Arc::new(broker);
        let front = Front::new(broker.clone());
        let identity = Arc::new(Identity::default());
        let bus = ServiceBus::with_options(NAMESPACE, identity.clone(), ambient, options(&front)).unwrap();
        Self { bus, front, broker, identity, clock, directory }
    }

    fn bus_by(&self, options: ClientOptions) -> ServiceBus {
        let ambient = Ambient::new(self.clock.clone(), OsEntropy);
        ServiceBus::with_options(NAMESPACE, self.identity.clone(), ambient, options).unwrap()
    }

    fn tell(&self, answers: impl IntoIterator<Item = Answer>) {
        self.front.script.lock().unwrap().extend(answers);
    }

    fn requests(&self) -> usize {
        self.front.seen().len()
    }

    /// What a group has got, taken away.
    async fn take(&self, group: &str) -> Vec<Message> {
        Taker(self.broker.clone()).take(Entity::Events, group).await
    }

    async fn ids(&self, group: &str) -> Vec<String> {
        self.take(group).await.into_iter().map(|message| message.id).collect()
    }
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
        let mut all = Vec::new();
        loop {
            let found = self.0.receive(&source, 50).await.unwrap();
            if found.is_empty() {
                return all;
            }
            for delivery in found {
                self.0.complete(&delivery.lock).await.unwrap();
                all.push(delivery.message);
            }
        }
    }
}

/// What the suite of every publisher is run against.
async fn subject() -> Subject {
    let World { bus, broker, clock, directory, .. } = World::on_a_socket().await;
    let inspect = Arc::new(Taker(broker));
    Subject { publisher: Arc::new(bus), inspect, clock, keep: Box::new(directory) }
}

fn event(id: &str) -> Message {
    let event = json!({
        "specversion": "1.0", "id": id, "type": "coder.notes.note.made", "subject": "n-1",
        "organizationid": "platform", "data": {},
    });
    Message::of_event(id, Entity::Events, &event)
}

fn events(count: usize) -> Vec<Message> {
    (0..count).map(|n| event(&format!("m-{n:03}"))).collect()
}

fn ids(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.id.clone()).collect()
}
