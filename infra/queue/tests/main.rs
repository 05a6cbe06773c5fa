//! From the outbox to a publisher that does what the test says, on the embedded store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coder_core::{Actor, ActorKind, Ambient, ManualClock, OsEntropy, Timestamp};
use coder_database::transaction::{Act, Committed};
use coder_database::{
    Container, DocumentStore, Filter, OutboxRecord, Partition, PlatformJob, Query, Record, Repository,
    Transaction,
};
use coder_embedded::{Options, SqliteStore};
use coder_queue::dispatcher::MAX_ATTEMPTS;
use coder_queue::{Dispatcher, OutboxNotifier, Publication, Publisher};
use jiff::SignedDuration;
use serde_json::json;

#[derive(Debug, Default)]
struct Scripted {
    outcomes: Mutex<VecDeque<Publication>>,
    seen: Mutex<Vec<OutboxRecord>>,
}

#[async_trait]
impl Publisher for Scripted {
    async fn publish(&self, record: &OutboxRecord) -> Publication {
        self.seen.lock().unwrap().push(record.clone());
        self.outcomes.lock().unwrap().pop_front().unwrap_or_default()
    }
}

struct Fixture {
    store: Arc<dyn DocumentStore>,
    ambient: Ambient,
    clock: ManualClock,
    publisher: Arc<Scripted>,
    dispatcher: Arc<Dispatcher>,
    job: PlatformJob,
    _directory: tempfile::TempDir,
}

async fn fixture(outcomes: impl IntoIterator<Item = Publication>) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let store = Arc::new(SqliteStore::open(directory.path(), &Options::default(), ambient.clone()).unwrap());
    store.prepare(&[Container::new("notes")]).await.unwrap();
    let publisher =
        Arc::new(Scripted { outcomes: Mutex::new(outcomes.into_iter().collect()), ..Scripted::default() });
    let (dispatcher, inbox) = Dispatcher::new(ambient.clone(), store.clone(), publisher.clone());
    let dispatcher = Arc::new(dispatcher);
    tokio::spawn(dispatcher.clone().run(inbox));
    Fixture { store, ambient, clock, publisher, dispatcher, job: PlatformJob::begin(), _directory: directory }
}

fn pending(reason: &str) -> Publication {
    Publication { pending: Some(reason.into()), ..Publication::default() }
}

impl Fixture {
    async fn record_event(&self) -> Committed {
        let act = Act {
            actor: Actor::new(ActorKind::Job, "test"),
            action: "test".into(),
            request_id: "r".into(),
            group: "notes",
            traceparent: None,
        };
        let (store, ambient) = (self.store.clone(), self.ambient.clone());
        let mut transaction = Transaction::new(store, ambient, "notes", Partition::platform(), act);
        transaction.emit("note.created", "n-1", json!({}));
        transaction.commit().await.unwrap()
    }

    async fn waiting(&self) -> Vec<Record<OutboxRecord>> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), "notes");
        records.page(&Partition::platform(), &Query::new(None::<Filter>)).await.unwrap().0
    }

    async fn sweep(&self) -> usize {
        self.dispatcher.sweep(&self.job, "notes").await.unwrap()
    }

    fn attempts(&self) -> usize {
        self.publisher.seen.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_published_event_leaves_the_outbox() {
    let fixture = fixture([]).await;
    let committed = fixture.record_event().await;
    assert_eq!(fixture.waiting().await.len(), 1, "durable before anything is published");
    fixture.dispatcher.committed(committed.outbox);
    fixture.dispatcher.settle().await;
    assert!(fixture.waiting().await.is_empty());
    assert_eq!((fixture.attempts(), fixture.sweep().await), (1, 0));
}

#[tokio::test]
async fn what_nobody_was_told_of_is_swept() {
    let fixture = fixture([]).await;
    drop(fixture.record_event().await);
    assert_eq!(fixture.sweep().await, 1);
    assert!(fixture.waiting().await.is_empty());
}

#[tokio::test]
async fn a_failed_event_waits_longer_each_time_and_remembers_who_has_it() {
    let partly = Publication { delivered: vec!["a".into()], ..pending("b is away") };
    let fixture = fixture([partly, pending("still away")]).await;
    drop(fixture.record_event().await);
    assert_eq!((fixture.sweep().await, fixture.sweep().await), (1, 0), "not before its time");
    let waiting = fixture.waiting().await;
    assert_eq!((waiting[0].data.attempts, waiting[0].data.last_error.as_deref()), (1, Some("b is away")));
    fixture.clock.advance(SignedDuration::from_secs(4));
    assert_eq!(fixture.sweep().await, 1);
    assert_eq!(fixture.publisher.seen.lock().unwrap()[1].delivered, ["a"]);
    fixture.clock.advance(SignedDuration::from_secs(4));
    assert_eq!(fixture.sweep().await, 0, "the second wait is longer");
    fixture.clock.advance(SignedDuration::from_secs(4));
    assert_eq!(fixture.sweep().await, 1);
    assert!(fixture.waiting().await.is_empty());
}

#[tokio::test]
async fn an_event_is_given_up_after_its_attempts_and_kept() {
    let fixture = fixture((0..MAX_ATTEMPTS + 5).map(|n| pending(&format!("attempt {n}")))).await;
    drop(fixture.record_event().await);
    for _ in 0..MAX_ATTEMPTS + 3 {
        fixture.sweep().await;
        fixture.clock.advance(SignedDuration::from_mins(6));
    }
    assert_eq!(fixture.attempts(), MAX_ATTEMPTS as usize);
    let waiting = fixture.waiting().await;
    assert!(waiting[0].data.dead && waiting[0].data.last_error.is_some());
}

#[tokio::test]
async fn a_rejected_event_is_kept_with_its_reason_and_not_tried_again() {
    let rejected = Publication {
        rejected: vec![("users/on-x".into(), "no such thing".into())],
        ..Publication::default()
    };
    let fixture = fixture([rejected]).await;
    drop(fixture.record_event().await);
    fixture.sweep().await;
    fixture.clock.advance(SignedDuration::from_hours(1));
    assert_eq!((fixture.sweep().await, fixture.attempts()), (0, 1));
    let waiting = fixture.waiting().await;
    assert!(waiting[0].data.dead);
    assert_eq!(waiting[0].data.rejected[0].reason, "no such thing");
}

#[tokio::test]
async fn more_than_fits_is_left_to_the_sweep() {
    let fixture = fixture([]).await;
    for _ in 0..50 {
        let committed = fixture.record_event().await;
        fixture.dispatcher.committed(committed.outbox);
    }
    fixture.dispatcher.settle().await;
    fixture.sweep().await;
    assert!(fixture.waiting().await.is_empty());
    assert_eq!(fixture.attempts(), 50, "each once");
}
