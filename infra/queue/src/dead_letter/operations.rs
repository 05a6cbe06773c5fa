//! What is done with dead letters: keeping one, and an operator's list, edit, replay and drop. Each change is one
//! step in a transaction that the caller opens and commits, so that the audit entry names who did it.

use std::sync::Arc;

use coder_core::{Ambient, Code, Failure, Fault, Problem, Timestamp};
use coder_database::transaction::Act;
use coder_database::{
    Container, Destination, Direction, DocumentStore, OutboxRecord, Partition, Query, Record, Repository,
    Transaction,
};
use serde_json::{Value, json};

use super::mask::holds_mask;
use super::{Audience, DeadLetter, RETENTION_SECONDS, Selection, State, partition};
use crate::cloud_event::{self, REPLAY};
use crate::message::SIZE_LIMIT;

/// How often keeping a dead letter is tried when somebody else changes it meanwhile.
const STALE_TRIES: u32 = 8;

/// What an event may take of a message, in bytes: the message has properties besides.
const EVENT_LIMIT: usize = SIZE_LIMIT - 8 * 1024;

/// The dead letters of one group.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    store: Arc<dyn DocumentStore>,
    records: Repository<DeadLetter>,
    container: &'static str,
    partition: Partition,
    group: String,
}

/// What came of asking for a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is sent once the transaction is committed.
    Now,
    /// It was sent before and has not failed since.
    Before,
}

impl DeadLetters {
    /// The dead letters that `group` keeps in `container`, its first.
    pub fn new(store: Arc<dyn DocumentStore>, container: &Container, group: &str) -> Self {
        Self {
            records: Repository::new(store.clone(), container.name),
            container: container.name,
            partition: partition(container, group),
            group: group.to_owned(),
            store,
        }
    }

    /// The group whose they are.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The container that they are in.
    pub fn container(&self) -> &'static str {
        self.container
    }

    /// The partition that they are in.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The repository, for lists.
    pub fn records(&self) -> &Repository<DeadLetter> {
        &self.records
    }

    /// The dead letter, if there is one.
    pub async fn find(&self, id: &str) -> Result<Option<Record<DeadLetter>>, Failure> {
        if id.is_empty() || id.len() > 255 || id.contains(['/', '\\', '?', '#']) {
            return Ok(None);
        }
        self.records.find(&self.partition, id).await
    }

    /// The dead letter, or `404 not_found`.
    pub async fn get(&self, id: &str) -> Result<Record<DeadLetter>, Failure> {
        let missing =
            || Problem::new(Code::NotFound, format!("The group `{}` has no dead letter `{id}`.", self.group));
        self.find(id).await?.ok_or_else(|| missing().into())
    }

    /// A page of those that are meant, the newest first.
    pub async fn page(
        &self,
        selection: &Selection,
        limit: u32,
        continuation: Option<String>,
    ) -> Result<(Vec<Record<DeadLetter>>, Option<String>), Failure> {
        let query = Query::new(selection.filter()).order_by("createdAt", Direction::Descending);
        self.records.page(&self.partition, &query.limit(limit).continue_from(continuation)).await
    }

    /// The ids of those that are meant, at most `most`, the newest first, and whether there are more.
    pub async fn ids(&self, selection: &Selection, most: usize) -> Result<(Vec<String>, bool), Failure> {
        let (mut ids, mut continuation) = (Vec::new(), None);
        loop {
            let (page, next) = self.page(selection, 50, continuation).await?;
            ids.extend(page.into_iter().map(|record| record.meta.id));
            if ids.len() > most || (ids.len() == most && next.is_some()) {
                ids.truncate(most);
                return Ok((ids, true));
            }
            match next {
                Some(next) => continuation = Some(next),
                None => return Ok((ids, false)),
            }
        }
    }

    /// When the `index`th of many replays is due that begin at `start`, at `rate` a second; all then without a rate.
    pub fn due(start: Timestamp, index: usize, rate: Option<u32>) -> Timestamp {
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        let milliseconds = rate.map_or(0, |rate| index.saturating_mul(1000) / u64::from(rate.max(1)));
        start.checked_add(std::time::Duration::from_millis(milliseconds)).unwrap_or(start)
    }

    /// Opens a transaction on the dead letters in somebody's name.
    pub fn begin(&self, ambient: &Ambient, act: Act) -> Transaction {
        Transaction::new(self.store.clone(), ambient.clone(), self.container, self.partition.clone(), act)
    }

    /// Keeps a dead letter. One that is there already is open again, with its attempts added up.
    pub async fn keep(
        &self,
        ambient: &Ambient,
        act: &Act,
        id: &str,
        letter: DeadLetter,
    ) -> Result<(), Failure> {
        let mut tries = 0;
        loop {
            let mut transaction = self.begin(ambient, act.clone()).without_audit();
            let expires_at = Some(ambient.after(RETENTION_SECONDS));
            if let Some(before) = self.find(id).await? {
                let mut record = before.clone();
                record.data = again(&before.data, letter.clone());
                record.expires_at = expires_at;
                transaction.update(&before, record)?;
            } else {
                let mut record = transaction.record(id, letter.clone());
                record.expires_at = expires_at;
                transaction.insert(&record)?;
            }
            match transaction.commit().await {
                Ok(_) => return Ok(()),
                Err(failure) if tries < STALE_TRIES && lost_race(&failure) => tries += 1,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Replaces the event of an open dead letter. What it was first is kept beside it.
    pub fn edit(
        &self,
        transaction: &mut Transaction,
        before: &Record<DeadLetter>,
        event: Value,
    ) -> Result<Record<DeadLetter>, Failure> {
        demand_open(&before.data, "edited")?;
        let faults = faults_of_edit(&before.data, &event);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults).into());
        }
        let old = before.data.clone();
        let (attempts, replays) = (old.attempts, old.replays);
        let original = old.original_event.clone().or_else(|| old.event.clone());
        let data = DeadLetter { original_event: original, ..old.with_event(event) };
        Ok(transaction.replace(before, DeadLetter { attempts, replays, ..data })?.0)
    }

    /// Sends the event again, at `due`: to the consumer that failed, or to whom it was for where none was reached. A
    /// second time is harmless: what was sent and has not failed since stays as it is.
    pub fn replay(
        &self,
        transaction: &mut Transaction,
        before: &Record<DeadLetter>,
        due: Option<Timestamp>,
    ) -> Result<(Record<DeadLetter>, Replayed), Failure> {
        if before.data.state == State::Replayed {
            return Ok((before.clone(), Replayed::Before));
        }
        demand_open(&before.data, "replayed")?;
        let Some(mut event) = before.data.event.clone() else {
            let detail = "The message cannot be read as an event; edit it into one first, or drop it.";
            return Err(Failure::problem(Code::InvalidState, detail));
        };
        let faults = cloud_event::faults(&event);
        if !faults.is_empty() {
            let detail = format!("The event is not whole: {} Edit it first.", cloud_event::sentence(&faults));
            return Err(Failure::problem(Code::InvalidState, detail));
        }
        let size = event.to_string().len();
        if size > EVENT_LIMIT {
            let detail =
                format!("The event has {size} bytes; a message has room for {EVENT_LIMIT}. Edit it first.");
            return Err(Failure::problem(Code::InvalidState, detail));
        }
        let replays = before.data.replays.saturating_add(1);
        // The consumer has noted that it is done with all earlier deliveries, but not with this one.
        event[REPLAY] = json!(replays);
        let due = due.filter(|due| *due > transaction.now());
        let message = OutboxRecord { due, ..OutboxRecord::new(event) };
        let (target, consumer) = (Some(self.group.clone()), before.data.consumer.clone());
        transaction.send_again(match before.data.audience {
            Audience::Group => OutboxRecord { target, consumer, ..message },
            Audience::Jobs => OutboxRecord { target, destination: Destination::Jobs, ..message },
            Audience::Everybody => message,
        });
        let data = DeadLetter { state: State::Replayed, replays, ..before.data.clone() };
        Ok((transaction.replace(before, data)?.0, Replayed::Now))
    }

    /// Decides that it is not to be delivered. One that is dropped already stays as it is.
    pub fn drop(&self, transaction: &mut Transaction, before: &Record<DeadLetter>) -> Result<(), Failure> {
        if before.data.state == State::Dropped {
            return Ok(());
        }
        let data = DeadLetter { state: State::Dropped, ..before.data.clone() };
        transaction.replace(before, data).map(|_| ())
    }
}

/// What is kept when the same event fails for good once more.
fn again(before: &DeadLetter, now: DeadLetter) -> DeadLetter {
    // A repeated delivery of the same attempt adds nothing; those after a replay add up.
    let attempts = if before.state == State::Replayed {
        before.attempts.saturating_add(now.attempts)
    } else {
        before.attempts.max(now.attempts)
    };
    DeadLetter {
        first_at: before.first_at,
        attempts,
        original_event: before.original_event.clone(),
        replays: before.replays.max(now.replays),
        ..now
    }
}

fn lost_race(failure: &Failure) -> bool {
    matches!(failure, Failure::Stale) || failure.code() == Some(Code::AlreadyExists)
}

fn demand_open(letter: &DeadLetter, verb: &str) -> Result<(), Failure> {
    match letter.state {
        State::Open => Ok(()),
        state => {
            let detail = format!("Only an open dead letter can be {verb}; this one is {}.", state.as_str());
            Err(Failure::problem(Code::InvalidState, detail))
        }
    }
}

fn faults_of_edit(before: &DeadLetter, event: &Value) -> Vec<Fault> {
    let below = |fault: Fault| Fault { pointer: format!("/event{}", fault.pointer), ..fault };
    let mut faults: Vec<Fault> = cloud_event::faults(event).into_iter().map(below).collect();
    if before.event_id.is_some() && before.event_id.as_deref() != event["id"].as_str() {
        let message = "The id stays: consumers tell by it what they have done.";
        faults.push(Fault::new("/event/id", "immutable", message));
    }
    let size = event.to_string().len();
    if size > EVENT_LIMIT {
        let message = format!("The event has {size} bytes; at most {EVENT_LIMIT} are accepted.");
        faults.push(Fault::new("/event", "too_large", message));
    }
    if holds_mask(event) && !before.event.as_ref().is_some_and(holds_mask) {
        let message =
            "`[redacted]` stands for a value that is not shown; leave the field out, or set it anew.";
        faults.push(Fault::new("/event", "masked_value", message));
    }
    faults
}
