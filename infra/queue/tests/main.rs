//! From the outbox to a publisher that does what the test says, on the embedded store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coder_core::{Actor, ActorKind, Ambient, ManualClock, OsEntropy, Timestamp};
use coder_database::transaction::{Act, Committed};
use coder_database::{
    Container, DocumentStore, Filter, Operation, OutboxRecord, Partition, PlatformJob, Query, Record,
    Repository, Transaction,
};
use coder_embedded::{Options, SqliteStore};
use coder_queue::dead_letter::{Audience, Reason, Selection, State};
use coder_queue::{
    DeadLetters, Dispatcher, Entity, Message, OutboxNotifier, Outboxes, PublishError, Publisher,
};
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
    with_room(4096, outcomes).await
}

async fn with_room(room: usize, outcomes: impl IntoIterator<Item = Result<(), PublishError>>) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let store = Arc::new(SqliteStore::open(directory.path(), &Options::default(), ambient.clone()).unwrap());
    store.prepare(&[Container::new("notes")]).await.unwrap();
    let publisher =
        Arc::new(Scripted { outcomes: Mutex::new(outcomes.into_iter().collect()), ..Scripted::default() });
    let (dispatcher, inbox) = Dispatcher::with_room(room, ambient.clone(), store.clone(), publisher.clone());
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
        self.record_in(Partition::platform(), change).await
    }

    async fn record_in(&self, partition: Partition, change: impl FnOnce(&mut Transaction)) -> Committed {
        let (store, ambient) = (self.store.clone(), self.ambient.clone());
        let mut transaction = Transaction::new(store, ambient, "notes", partition, act());
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

fn act() -> Act {
    Act {
        actor: Actor::new(ActorKind::Job, "test"),
        action: "test".into(),
        request_id: "r".into(),
        group: "notes",
        traceparent: None,
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
    const ROOM: usize = 4;
    let fixture = with_room(ROOM, []).await;
    let mut entries = Vec::new();
    for n in 0..50 {
        let emit = |transaction: &mut Transaction| transaction.emit("note.created", "n", json!({}));
        entries.extend(fixture.record_in(Partition::keyed("note", n), emit).await.outbox);
    }
    fixture.dispatcher.committed(entries);
    fixture.dispatcher.settle().await;
    assert_eq!(fixture.calls().concat().len(), ROOM);
    assert_eq!(fixture.sweep().await, 50 - ROOM);
    let mut all: Vec<String> = fixture.calls().concat();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), fixture.calls().concat().len()), (50, 50), "each once");
}

#[tokio::test]
async fn an_event_does_not_overtake_an_older_one_of_its_subject() {
    let fixture = fixture([transient("away")]).await;
    let emit = async |subject: &str| {
        let committed =
            fixture.record(|transaction| transaction.emit("note.created", subject, json!({}))).await;
        let id = id(&committed);
        fixture.dispatcher.committed(committed.outbox);
        fixture.dispatcher.settle().await;
        id
    };
    let first = emit("a").await;
    let second = emit("a").await;
    let other = emit("b").await;
    assert_eq!(fixture.calls(), [vec![first.clone()], vec![other]], "the second waits for the first");
    assert_eq!(fixture.sweep().await, 0);
    fixture.clock.advance(SignedDuration::from_secs(3));
    let third = emit("a").await;
    assert_eq!(fixture.calls()[2..], [vec![first, second, third]]);
    assert!(fixture.waiting().await.is_empty());
}

#[tokio::test]
async fn when_a_call_fails_nothing_younger_is_published_after_it() {
    let fixture = fixture([transient("away")]).await;
    for n in 0..150 {
        drop(fixture.record(|transaction| transaction.emit("note.created", "n", json!({"n": n}))).await);
    }
    fixture.sweep().await;
    assert_eq!(fixture.calls().len(), 1, "the second hundred was not tried");
    assert_eq!(fixture.waiting().await.len(), 50, "a page");
    fixture.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(fixture.sweep().await, 150);
    let order = fixture.calls()[1..].concat();
    assert!(order.is_sorted() && order.len() == 150, "ids grow");
}

#[tokio::test]
async fn a_wait_that_a_wrong_clock_gave_is_no_wait() {
    let fixture = fixture([transient("away")]).await;
    fixture.clock.advance(SignedDuration::from_hours(24 * 365));
    drop(fixture.record_event().await);
    assert_eq!(fixture.sweep().await, 1);
    fixture.clock.advance(SignedDuration::from_hours(-24 * 365));
    assert_eq!(fixture.sweep().await, 1);
    assert!(fixture.waiting().await.is_empty());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hinders_no_other() {
    let fixture = fixture([]).await;
    let body = json!({"id": "outbox:0", "type": "outbox", "partitionKey": "platform", "event": 7});
    let odd = Operation::Create { id: "outbox:0".into(), body, expires_at: None };
    fixture.store.write("notes", &Partition::platform().key(), vec![odd]).await.unwrap();
    let swept = id(&fixture.record_event().await);
    assert_eq!(fixture.sweep().await, 1);
    let told = fixture.record_event().await;
    let wanted = vec![vec![swept], vec![id(&told)]];
    fixture.dispatcher.committed(told.outbox);
    fixture.dispatcher.settle().await;
    assert_eq!(fixture.calls(), wanted);
}

#[tokio::test]
async fn what_no_broker_takes_becomes_a_dead_letter_and_goes_to_everybody_when_it_is_replayed() {
    let refused = || Err(PublishError::Permanent { index: 0, reason: "too large".into() });
    let fixture = fixture([refused(), refused()]).await;
    let event = id(&fixture.record_event().await);
    drop(
        fixture
            .record(|transaction| transaction.start_job("tidy", "j", json!({"group": "notes"}), None))
            .await,
    );
    assert_eq!(fixture.sweep().await, 2);
    let letters = DeadLetters::new(fixture.store.clone(), &Container::new("notes"), "notes");
    let publisher = fixture.publisher.clone();
    let outboxes = Outboxes::new(fixture.ambient.clone(), fixture.store.clone(), publisher);
    assert_eq!(outboxes.bury(&fixture.job, "notes", &letters, &act()).await.unwrap(), 2);
    assert_eq!(outboxes.bury(&fixture.job, "notes", &letters, &act()).await.unwrap(), 0);
    assert!(fixture.waiting().await.is_empty());
    let (ids, more) = letters.ids(&Selection::default(), 10).await.unwrap();
    assert_eq!((ids.len(), more), (2, false));
    for id in ids {
        let letter = letters.get(&id).await.unwrap();
        let audience = if id == event { Audience::Everybody } else { Audience::Jobs };
        assert_eq!((letter.data.audience, letter.data.reason), (audience, Reason::Unroutable));
        assert!(letter.data.description.contains("too large"), "{}", letter.data.description);
        let mut transaction = letters.begin(&fixture.ambient, act());
        letters.replay(&mut transaction, &letter, None).unwrap();
        drop(transaction.commit().await.unwrap());
        assert_eq!(letters.get(&id).await.unwrap().data.state, State::Replayed);
    }
    assert_eq!(fixture.sweep().await, 2);
    let calls = fixture.publisher.calls.lock().unwrap();
    let [.., first, second] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((first[0].entity, first[0].text("target"), &first[0].id), (Entity::Events, None, &event));
    assert_eq!((second[0].entity, second[0].text("target")), (Entity::Jobs, Some("notes")));
}

#[tokio::test]
async fn changes_of_any_size_fit_into_a_message() {
    let fixture = fixture([]).await;
    let change = |text: &str| coder_database::audit::Change {
        path: "/html".into(),
        from: json!(text),
        to: json!("short"),
    };
    let changes = [change(&"x".repeat(400_000))];
    drop(
        fixture
            .record(|transaction| transaction.emit_changes("note.updated", "n", json!({}), &changes))
            .await,
    );
    fixture.sweep().await;
    let calls = fixture.publisher.calls.lock().unwrap();
    assert_eq!(calls[0][0].fault(), None);
    let event: serde_json::Value = serde_json::from_slice(&calls[0][0].body).unwrap();
    assert_eq!(event["data"]["changes"][0]["to"], "short");
}
