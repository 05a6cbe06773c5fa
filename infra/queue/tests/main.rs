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
use coder_queue::{Dispatcher, Entity, Message, OutboxNotifier, PublishError, Publisher};
use jiff::SignedDuration;
use serde_json::json;

#[derive(Debug, Default)]
struct Scripted {
    outcomes: Mutex<VecDeque<Result<(), PublishError>>>,
    /// Calls, those that failed included.
    calls: Mutex<Vec<Vec<Message>>>,
}

#[async_trait]
impl Publisher for Scripted {
    async fn publish(&self, messages: &[Message]) -> Result<(), PublishError> {
        self.calls.lock().unwrap().push(messages.to_vec());
        self.outcomes.lock().unwrap().pop_front().unwrap_or(Ok(()))
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

async fn fixture(outcomes: impl IntoIterator<Item = Result<(), PublishError>>) -> Fixture {
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

fn transient(reason: &str) -> Result<(), PublishError> {
    Err(PublishError::transient(reason))
}

impl Fixture {
    async fn record_event(&self) -> Committed {
        self.record(|transaction| transaction.emit("note.created", "n-1", json!({}))).await
    }

    async fn record(&self, change: impl FnOnce(&mut Transaction)) -> Committed {
        let act = Act {
            actor: Actor::new(ActorKind::Job, "test"),
            action: "test".into(),
            request_id: "r".into(),
            group: "notes",
            traceparent: None,
        };
        let (store, ambient) = (self.store.clone(), self.ambient.clone());
        let mut transaction = Transaction::new(store, ambient, "notes", Partition::platform(), act);
        change(&mut transaction);
        transaction.commit().await.unwrap()
    }

    async fn waiting(&self) -> Vec<Record<OutboxRecord>> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), "notes");
        records.page(&Partition::platform(), &Query::new(None::<Filter>)).await.unwrap().0
    }

    async fn sweep(&self) -> usize {
        self.dispatcher.sweep(&self.job, "notes").await.unwrap()
    }

    /// The ids of the messages of each call.
    fn calls(&self) -> Vec<Vec<String>> {
        let ids = |call: &Vec<Message>| call.iter().map(|message| message.id.clone()).collect();
        self.publisher.calls.lock().unwrap().iter().map(ids).collect()
    }
}

fn id(committed: &Committed) -> String {
    committed.outbox[0].id.strip_prefix("outbox:").unwrap().to_owned()
}

#[tokio::test]
async fn a_published_event_leaves_the_outbox() {
    let fixture = fixture([]).await;
    let committed = fixture.record_event().await;
    let wanted = vec![vec![id(&committed)]];
    assert_eq!(fixture.waiting().await.len(), 1, "durable before anything is published");
    fixture.dispatcher.committed(committed.outbox);
    fixture.dispatcher.settle().await;
    assert!(fixture.waiting().await.is_empty());
    assert_eq!(fixture.calls(), wanted);
    assert_eq!(fixture.sweep().await, 0);
}

#[tokio::test]
async fn what_nobody_was_told_of_is_swept() {
    let fixture = fixture([]).await;
    drop(fixture.record_event().await);
    assert_eq!(fixture.sweep().await, 1);
    assert!(fixture.waiting().await.is_empty());
}

#[tokio::test]
async fn what_waits_goes_out_together_and_jobs_by_themselves() {
    let fixture = fixture([]).await;
    let due = Timestamp::from_second(3600).unwrap();
    let mut entries = Vec::new();
    for n in 0..150 {
        let committed = fixture.record(|transaction| match n % 3 {
            0 => transaction.start_job("tidy", "j", json!({"group": "notes"}), Some(due)),
            _ => transaction.emit("note.created", "n", json!({})),
        });
        entries.extend(committed.await.outbox);
    }
    fixture.dispatcher.committed(entries);
    fixture.dispatcher.settle().await;
    assert!(fixture.waiting().await.is_empty(), "a job for later is published at once");
    let calls = fixture.publisher.calls.lock().unwrap();
    assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), 150);
    assert!(calls.len() <= 4, "{} calls", calls.len());
    for message in calls.iter().flatten() {
        let scheduled = (message.entity == Entity::Jobs).then_some(due);
        assert_eq!(message.scheduled_at, scheduled);
    }
    assert!(calls.iter().all(|call| call.iter().all(|message| message.entity == call[0].entity)));
}

#[tokio::test]
async fn no_call_is_larger_than_brokers_take() {
    let fixture = fixture([]).await;
    for _ in 0..10 {
        let text = "x".repeat(100 * 1024);
        drop(
            fixture.record(|transaction| transaction.emit("note.created", "n", json!({"text": text}))).await,
        );
    }
    assert_eq!(fixture.sweep().await, 10);
    let sizes: Vec<usize> = fixture.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2; 5]);
}

#[tokio::test]
async fn while_the_broker_is_away_events_wait_longer_each_time_and_for_ever() {
    let fixture = fixture((0..40).map(|n| transient(&format!("away {n}")))).await;
    drop(fixture.record_event().await);
    assert_eq!((fixture.sweep().await, fixture.sweep().await), (1, 0), "not before its time");
    let waiting = fixture.waiting().await;
    assert_eq!(waiting[0].data.attempts, 1);
    assert!(waiting[0].data.last_error.as_ref().unwrap().contains("away 0"));
    fixture.clock.advance(SignedDuration::from_secs(3));
    assert_eq!(fixture.sweep().await, 1);
    fixture.clock.advance(SignedDuration::from_secs(3));
    assert_eq!(fixture.sweep().await, 0, "the second wait is longer");
    for _ in 2..40 {
        fixture.clock.advance(SignedDuration::from_mins(5));
        assert_eq!(fixture.sweep().await, 1);
    }
    assert!(!fixture.waiting().await[0].data.dead);
    fixture.clock.advance(SignedDuration::from_mins(5));
    assert_eq!(fixture.sweep().await, 1);
    assert!(fixture.waiting().await.is_empty());
}

#[tokio::test]
async fn a_broker_that_says_when_is_believed() {
    let retry_after = Some(std::time::Duration::from_secs(100));
    let fixture = fixture([Err(PublishError::Transient { reason: "busy".into(), retry_after })]).await;
    drop(fixture.record_event().await);
    fixture.sweep().await;
    fixture.clock.advance(SignedDuration::from_secs(99));
    assert_eq!(fixture.sweep().await, 0);
    fixture.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(fixture.sweep().await, 1);
}

#[tokio::test]
async fn what_no_broker_takes_is_kept_with_its_reason_and_keeps_back_no_other() {
    let refused = Err(PublishError::Permanent { index: 1, reason: "too large".into() });
    let fixture = fixture([refused]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(id(&fixture.record_event().await));
    }
    assert_eq!(fixture.sweep().await, 3);
    assert_eq!(fixture.calls(), [ids.clone(), vec![ids[0].clone(), ids[2].clone()]]);
    fixture.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(fixture.sweep().await, 0, "not tried again");
    let waiting = fixture.waiting().await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].meta.id, format!("outbox:{}", ids[1]));
    assert!(waiting[0].data.dead);
    assert_eq!(waiting[0].data.last_error.as_deref(), Some("too large"));
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
    let mut all: Vec<String> = fixture.calls().concat();
    assert_eq!(all.len(), 50);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 50, "each once");
}
