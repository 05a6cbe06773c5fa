//! The outboxes of containers: finding what waits in them, and publishing it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coder_core::{Ambient, Failure};
use coder_database::transaction::OutboxEntry;
use coder_database::{
    DocumentStore, Filter, OutboxRecord, Partition, PlatformJob, Query, Record, Repository,
};
use futures_util::future::join_all;

use crate::back_off::{LONGEST_BACK_OFF, back_off};
use crate::message::{Message, SIZE_LIMIT};
use crate::publisher::{MESSAGES_A_CALL, PublishError, Publisher};

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
        // A dead record stays for people; it is found by its mark and not tried again.
        let living = Filter::Not(Box::new(Filter::eq("dead", true)));
        let mut query = Query::new(living).limit(500);
        let mut tried = 0;
        loop {
            let (page, next) = records.page_across(job, &query).await?;
            let found = page.into_iter().map(|(partition, record)| Waiting { container, partition, record });
            let due: Vec<Waiting> = found.filter(|waiting| self.due(&waiting.record)).collect();
            tried += due.len();
            self.publish(due).await;
            match next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(tried),
            }
        }
    }

    fn due(&self, record: &Record<OutboxRecord>) -> bool {
        !record.data.dead && record.data.not_before.is_none_or(|time| time <= self.ambient.now())
    }

    /// The record that an entry tells of, if it still waits and is due.
    pub(crate) async fn find(&self, entry: &OutboxEntry) -> Option<Waiting> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), entry.container);
        let found = records.find(&entry.partition, &entry.id).await.unwrap_or_else(|failure| {
            tracing::warn!(outbox.id = %entry.id, cause = %failure, "an event stays in the outbox");
            None
        });
        let record = found.filter(|record| self.due(record))?;
        Some(Waiting { container: entry.container, partition: entry.partition.clone(), record })
    }

    /// Publishes records in as few calls as may be, in their order.
    pub(crate) async fn publish(&self, records: Vec<Waiting>) {
        let mut batch = Batch::default();
        let mut sorted = records;
        sorted.sort_by_key(|waiting| waiting.record.data.destination);
        for waiting in sorted {
            let message = Message::of_outbox(&waiting.record);
            if !batch.has_room(&message) {
                self.publish_batch(std::mem::take(&mut batch)).await;
            }
            batch.push(waiting, message);
        }
        self.publish_batch(batch).await;
    }

    /// Publishes a batch; what the broker will never take is put aside, and the rest tried again.
    async fn publish_batch(&self, mut batch: Batch) {
        while !batch.messages.is_empty() {
            match self.publisher.publish(&batch.messages).await {
                Ok(()) => {
                    join_all(batch.waiting.iter().map(|waiting| self.settle_record(waiting, None))).await;
                    return;
                }
                Err(PublishError::Permanent { index, reason }) if index < batch.messages.len() => {
                    let (waiting, _) = batch.remove(index);
                    tracing::error!(outbox.id = %waiting.record.meta.id, reason, "an event is never published");
                    let mut data = waiting.record.data.clone();
                    (data.dead, data.attempts, data.last_error) = (true, data.attempts + 1, Some(reason));
                    self.settle_record(&waiting, Some(data)).await;
                }
                Err(error) => {
                    let retry_after = match &error {
                        PublishError::Transient { retry_after, .. } => *retry_after,
                        PublishError::Permanent { .. } => None,
                    };
                    let count = batch.messages.len();
                    tracing::warn!(count, cause = %error, "events are published later");
                    let put_off = |waiting: &Waiting| self.put_off(waiting, &error, retry_after);
                    let rest: Vec<_> = batch.waiting.iter().map(put_off).collect();
                    let settled = batch.waiting.iter().zip(rest);
                    join_all(settled.map(|(waiting, rest)| self.settle_record(waiting, Some(rest)))).await;
                    return;
                }
            }
        }
    }

    /// The record as it waits for another attempt. There is always another: what was acknowledged is published.
    fn put_off(
        &self,
        waiting: &Waiting,
        error: &PublishError,
        retry_after: Option<Duration>,
    ) -> OutboxRecord {
        let mut data = waiting.record.data.clone();
        data.attempts = data.attempts.saturating_add(1);
        let asked = retry_after.unwrap_or_default().min(LONGEST_BACK_OFF);
        let wait = back_off(&self.ambient, data.attempts).max(asked);
        data.last_error = Some(error.to_string());
        data.not_before = self.ambient.now().checked_add(wait).ok();
        data
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
