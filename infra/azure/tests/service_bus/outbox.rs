//! From the outbox to the namespace and on to a subscription: what the two make of faults together.

use std::sync::Arc;

use coder_core::{Actor, ActorKind, Ambient, OsEntropy};
use coder_database::transaction::Act;
use coder_database::{
    Container, DocumentStore, Filter, OutboxRecord, Partition, PlatformJob, Query, Repository, Transaction,
};
use coder_embedded::{Options, SqliteStore};
use coder_queue::Outboxes;
use jiff::SignedDuration;
use serde_json::json;

use super::World;

/// A world, and a store whose outbox is published there.
struct Fixture {
    world: World,
    store: Arc<dyn DocumentStore>,
    ambient: Ambient,
    outboxes: Outboxes,
}

impl Fixture {
    async fn new() -> Self {
        let world = World::new().await;
        let ambient = Ambient::new(world.clock.clone(), OsEntropy);
        let options = Options::default();
        let store = SqliteStore::open(world.directory.path(), &options, ambient.clone()).unwrap();
        let store: Arc<dyn DocumentStore> = Arc::new(store);
        store.prepare(&[Container::new("notes")]).await.unwrap();
        let outboxes = Outboxes::new(ambient.clone(), store.clone(), Arc::new(world.bus.clone()));
        Self { world, store, ambient, outboxes }
    }

    async fn record(&self, text: &str) {
        let act = Act {
            actor: Actor::new(ActorKind::Job, "test"),
            action: "test".into(),
            request_id: "r".into(),
            group: "notes",
            traceparent: None,
        };
        let (store, ambient) = (self.store.clone(), self.ambient.clone());
        let mut transaction = Transaction::new(store, ambient, "notes", Partition::platform(), act);
        transaction.emit("note.created", text, json!({"text": text}));
        drop(transaction.commit().await.unwrap());
    }

    async fn sweep(&self) -> usize {
        self.outboxes.sweep(&PlatformJob::begin(), "notes").await.unwrap()
    }

    async fn waiting(&self) -> Vec<OutboxRecord> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), "notes");
        let query = Query::new(None::<Filter>);
        let found = records.page(&Partition::platform(), &query).await.unwrap().0;
        found.into_iter().map(|record| record.data).collect()
    }

    /// The subjects that arrived.
    async fn arrived(&self) -> Vec<String> {
        self.world.take("all").await.into_iter().filter_map(|message| message.subject).collect()
    }
}

#[tokio::test]
async fn what_is_recorded_arrives_once_and_leaves_the_outbox() {
    let fixture = Fixture::new().await;
    for text in ["a", "b", "c"] {
        fixture.record(text).await;
    }
    assert_eq!((fixture.sweep().await, fixture.sweep().await), (3, 0));
    assert_eq!(fixture.arrived().await, ["a", "b", "c"]);
    assert!(fixture.waiting().await.is_empty());
    assert_eq!(fixture.world.requests(), 1);
}

#[tokio::test]
async fn a_throttled_namespace_is_left_alone_for_as_long_as_it_asked() {
    let fixture = Fixture::new().await;
    fixture.record("a").await;
    fixture.world.tell([(429, Some("100"), "busy")]);
    fixture.sweep().await;
    assert!(fixture.waiting().await[0].last_error.as_ref().unwrap().contains("429"));
    fixture.world.clock.advance(SignedDuration::from_secs(99));
    assert_eq!((fixture.sweep().await, fixture.world.requests()), (0, 1));
    fixture.world.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(fixture.sweep().await, 1);
    assert_eq!(fixture.arrived().await, ["a"]);
}

#[tokio::test]
async fn a_namespace_that_refuses_the_identity_for_hours_gets_everything_in_the_end() {
    let fixture = Fixture::new().await;
    for text in ["a", "b"] {
        fixture.record(text).await;
    }
    for _ in 0..20 {
        fixture.world.tell([(401, None, "no claim")]);
        fixture.sweep().await;
        fixture.world.clock.advance(SignedDuration::from_mins(10));
    }
    assert!(fixture.waiting().await.iter().all(|record| !record.dead && record.attempts == 20));
    fixture.sweep().await;
    assert_eq!(fixture.arrived().await, ["a", "b"]);
}

#[tokio::test]
async fn the_one_event_that_is_never_taken_is_put_aside_with_the_reason_and_the_others_arrive() {
    let fixture = Fixture::new().await;
    let texts = ["a", "b", "poison", "c", "d"];
    for text in texts {
        fixture.record(text).await;
    }
    *fixture.world.front.poison.lock().unwrap() = Some("poison");
    assert_eq!(fixture.sweep().await, 5);
    assert_eq!(fixture.arrived().await, ["a", "b", "c", "d"]);
    let waiting = fixture.waiting().await;
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].dead && waiting[0].event["subject"] == "poison");
    assert!(waiting[0].last_error.as_ref().unwrap().contains("cannot be read"));
}
