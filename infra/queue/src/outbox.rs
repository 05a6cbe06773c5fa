//! The outboxes of containers: finding what waits in them, and publishing it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coder_core::{Ambient, Failure, Timestamp};
use coder_database::transaction::Act;
use coder_database::{
    Destination, DocumentStore, Filter, OutboxRecord, Partition, PlatformJob, Query, Record, Repository,
};
use futures_util::future::join_all;

use crate::back_off::{LONGEST_BACK_OFF, back_off};
use crate::dead_letter::{Audience, DeadLetter, DeadLetters, Reason};
use crate::message::{Message, SIZE_LIMIT};
use crate::publisher::{MESSAGES_A_CALL, PublishError, Publisher};

/// Subjects of which events are held back that one sweep keeps in mind; with more of them it ends, and the next one
/// begins anew.
const HELD_SUBJECTS: usize = 10_000;

/// The outboxes of a store's containers, and who takes what waits in them.
pub struct Outboxes {
    ambient: Ambient,
    store: Arc<dyn DocumentStore>,
    publisher: Arc<dyn Publisher>,
}

impl fmt::Debug for Outboxes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Outboxes").finish_non_exhaustive()
    }
}

/// A record, and where it is.
#[derive(Debug)]
pub(crate) struct Waiting {
    container: &'static str,
    partition: Partition,
    record: Record<OutboxRecord>,
}

impl Outboxes {
    /// The outboxes of this store.
    pub fn new(ambient: Ambient, store: Arc<dyn DocumentStore>, publisher: Arc<dyn Publisher>) -> Self {
        Self { ambient, store, publisher }
    }

    /// Publishes what is due in the outboxes of a container; answers how many records it tried.
    pub async fn sweep(&self, job: &PlatformJob, container: &'static str) -> Result<usize, Failure> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), container);
        let (mut query, mut tried, mut held) = (living().limit(500), 0, Held::default());
        loop {
            let (page, next) = records.page_across_each(job, &query).await?;
            let found = page.into_iter().filter_map(|item| readable(container, item));
            let found = found.map(|(partition, record)| Waiting { container, partition, record });
            let due = self.due(found, &mut held);
            tried += due.len();
            let goes_on = self.publish(due).await && held.0.len() < HELD_SUBJECTS;
            match next {
                Some(next) if goes_on => query.continuation = Some(next),
                _ => return Ok(tried),
            }
        }
    }

    /// Makes dead letters out of what no broker takes in the outboxes of a container; answers how many. One that is
    /// interrupted is made again.
    pub async fn bury(
        &self,
        job: &PlatformJob,
        container: &'static str,
        letters: &DeadLetters,
        act: &Act,
    ) -> Result<usize, Failure> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), container);
        let (mut query, mut buried) = (Query::new(Filter::eq("dead", true)), 0);
        loop {
            let (page, next) = records.page_across_each(job, &query).await?;
            for (partition, record) in page.into_iter().filter_map(|item| readable(container, item)) {
                let letter = refused(letters.group(), &record.data, self.ambient.now());
                letters.keep(&self.ambient, act, &letter.id(None), letter).await?;
                self.settle_record(&Waiting { container, partition, record }, None).await;
                buried += 1;
            }
            match next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(buried),
            }
        }
    }

    /// What is due in the outbox of one partition, the oldest first, as much as goes out at once.
    pub(crate) async fn waiting(&self, container: &'static str, partition: &Partition) -> Vec<Waiting> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), container);
        let limit = u32::try_from(MESSAGES_A_CALL).unwrap_or(u32::MAX);
        let page = records.page_each(partition, &living().limit(limit)).await;
        let (page, _) = page.unwrap_or_else(|failure| {
            tracing::warn!(container, cause = %failure, "events stay in the outbox");
            (Vec::new(), None)
        });
        let found = page.into_iter().filter_map(|item| readable(container, item));
        let found = found.map(|record| Waiting { container, partition: partition.clone(), record });
        self.due(found, &mut Held::default())
    }

    /// Those that are due. What waits for its next attempt holds back the younger events of its subject.
    fn due(&self, found: impl Iterator<Item = Waiting>, held: &mut Held) -> Vec<Waiting> {
        let now = self.ambient.now();
        // A time further away than the longest wait was given by a wrong clock.
        let limit = now.checked_add(LONGEST_BACK_OFF).unwrap_or(now);
        let waits = |until: Timestamp| until > now && until <= limit;
        let is_due = |waiting: &Waiting| {
            if waiting.record.data.not_before.is_some_and(waits) {
                held.0.extend(waiting.subject());
                return false;
            }
            !waiting.subject().is_some_and(|subject| held.0.contains(&subject))
        };
        found.filter(is_due).collect()
    }

    /// Publishes records in as few calls as may be, in their order. False if the broker takes nothing now: then the
    /// rest is put off, since what is younger must not overtake.
    pub(crate) async fn publish(&self, records: Vec<Waiting>) -> bool {
        let mut sorted = records;
        sorted.sort_by_key(|waiting| waiting.record.data.destination);
        let mut records = sorted.into_iter().peekable();
        while records.peek().is_some() {
            let mut batch = Batch::default();
            while let Some(waiting) =
                records.next_if(|waiting| batch.has_room(&Message::of_outbox(&waiting.record)))
            {
                let message = Message::of_outbox(&waiting.record);
                batch.push(waiting, message);
            }
            if let Err(error) = self.publish_batch(batch).await {
                self.put_off(records.collect(), &error).await;
                return false;
            }
        }
        true
    }

    /// Publishes a batch; what the broker will never take is put aside. If the broker takes nothing now, the batch is
    /// put off.
    async fn publish_batch(&self, mut batch: Batch) -> Result<(), PublishError> {
        while !batch.messages.is_empty() {
            match self.publisher.publish(&batch.messages).await {
                Ok(()) => {
                    join_all(batch.waiting.iter().map(|waiting| self.settle_record(waiting, None))).await;
                    return Ok(());
                }
                Err(PublishError::Permanent { index, reason }) if index < batch.messages.len() => {
                    let (waiting, _) = batch.remove(index);
                    tracing::error!(outbox.id = %waiting.record.meta.id, reason, "an event is never published");
                    let mut data = waiting.record.data.clone();
                    (data.dead, data.attempts, data.last_error) = (true, data.attempts + 1, Some(reason));
                    self.settle_record(&waiting, Some(data)).await;
                }
                Err(error) => {
                    self.put_off(batch.waiting, &error).await;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Has records wait for another attempt. There is always another: what was acknowledged is published.
    async fn put_off(&self, records: Vec<Waiting>, error: &PublishError) {
        tracing::warn!(count = records.len(), cause = %error, "events are published later");
        let asked = match error {
            PublishError::Transient { retry_after: Some(asked), .. } => (*asked).min(LONGEST_BACK_OFF),
            _ => Duration::ZERO,
        };
        let settled = records.iter().map(|waiting| {
            let mut data = waiting.record.data.clone();
            data.attempts = data.attempts.saturating_add(1);
            let wait = back_off(&self.ambient, data.attempts).max(asked);
            data.last_error = Some(error.to_string());
            data.not_before = self.ambient.now().checked_add(wait).ok();
            self.settle_record(waiting, Some(data))
        });
        join_all(settled).await;
    }

    /// Removes a published record, or keeps what is left of one. Somebody else's change in between wins: the
    /// sweep sees the record again.
    async fn settle_record(&self, waiting: &Waiting, rest: Option<OutboxRecord>) {
        let Waiting { container, partition, record } = waiting;
        match coder_database::outbox::settle(&self.store, container, partition, record, rest).await {
            Ok(()) | Err(Failure::Stale) => {}
            Err(failure) => {
                tracing::warn!(outbox.id = %record.meta.id, cause = %failure, "an outbox record stays as it was");
            }
        }
    }
}

impl Waiting {
    /// What keeps an order: the events about one subject in one partition.
    fn subject(&self) -> Option<Subject> {
        let OutboxRecord { event, destination, .. } = &self.record.data;
        let subject = event["subject"].as_str().filter(|_| *destination == Destination::Events)?;
        Some((self.partition.clone(), subject.to_owned()))
    }
}

type Subject = (Partition, String);

/// Subjects of which an event waits for its next attempt.
#[derive(Debug, Default)]
struct Held(HashSet<Subject>);

/// Those that are not put aside, the oldest first: ids grow. A dead record becomes a dead letter, and is not tried
/// again.
fn living() -> Query {
    Query::new(Filter::Not(Box::new(Filter::eq("dead", true))))
}

/// One that cannot be read stays where it is and hinders no other.
fn readable<T>(container: &'static str, item: Result<T, Failure>) -> Option<T> {
    item.inspect_err(|failure| tracing::error!(container, cause = %failure, "an event stays in the outbox"))
        .ok()
}

/// The dead letter of a record that no broker takes.
fn refused(group: &str, record: &OutboxRecord, now: Timestamp) -> DeadLetter {
    let error = record.last_error.as_deref().unwrap_or("it did not say why");
    let words = format!("The broker will never take the event: {error}. It was not published.");
    let mut letter = DeadLetter::new(group, Reason::Unroutable, words, now).with_event(record.event.clone());
    letter.audience = match (record.destination, &record.target) {
        (Destination::Jobs, _) => Audience::Jobs,
        (Destination::Events, Some(_)) => Audience::Group,
        (Destination::Events, None) => Audience::Everybody,
    };
    letter.consumer.clone_from(&record.consumer);
    letter.attempts = record.attempts;
    letter.with_error(error)
}

/// What goes out in one call.
#[derive(Debug, Default)]
struct Batch {
    waiting: Vec<Waiting>,
    messages: Vec<Message>,
    size: usize,
}

impl Batch {
    fn has_room(&self, message: &Message) -> bool {
        let same = self.messages.first().is_none_or(|first: &Message| first.entity == message.entity);
        self.messages.is_empty()
            || (same && self.messages.len() < MESSAGES_A_CALL && self.size + message.size() <= SIZE_LIMIT)
    }

    fn push(&mut self, waiting: Waiting, message: Message) {
        self.size += message.size();
        self.waiting.push(waiting);
        self.messages.push(message);
    }

    fn remove(&mut self, index: usize) -> (Waiting, Message) {
        (self.waiting.remove(index), self.messages.remove(index))
    }
}
