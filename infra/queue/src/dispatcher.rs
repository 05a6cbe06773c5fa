//! Takes committed events out of the outboxes: at once when told of them, and by sweeping what was left.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coder_core::{Ambient, Failure};
use coder_database::transaction::OutboxEntry;
use coder_database::{
    DocumentStore, Filter, OutboxRecord, Partition, PlatformJob, Query, Record, Repository,
};
use tokio::sync::{Notify, mpsc};

use crate::publisher::Publisher;

/// Is told of events that were just committed, and publishes them soon. Never waits: what it cannot take, the
/// sweep finds in the outbox.
pub trait OutboxNotifier: Send + Sync + fmt::Debug {
    /// These records wait.
    fn committed(&self, entries: Vec<OutboxEntry>);
}

/// Entries that may wait for their turn; more are left to the sweep.
const WAITING: usize = 4096;

/// Attempts after which an event is a dead letter.
pub const MAX_ATTEMPTS: u32 = 10;

/// Back-off after the first failed attempt, in seconds; doubles up to 5 minutes.
const FIRST_BACK_OFF_SECONDS: i64 = 2;
const LAST_BACK_OFF_SECONDS: i64 = 300;

/// Publishes what waits in the outboxes of some containers.
pub struct Dispatcher {
    ambient: Ambient,
    store: Arc<dyn DocumentStore>,
    publisher: Arc<dyn Publisher>,
    sender: mpsc::Sender<OutboxEntry>,
    waiting: Arc<AtomicUsize>,
    idle: Arc<Notify>,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

/// The receiving end, for the task that runs [`Dispatcher::run`].
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<OutboxEntry>);

impl OutboxNotifier for Dispatcher {
    fn committed(&self, entries: Vec<OutboxEntry>) {
        for entry in entries {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            if self.sender.try_send(entry).is_err() {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

impl Dispatcher {
    /// A dispatcher and the inbox that its task reads.
    pub fn new(
        ambient: Ambient,
        store: Arc<dyn DocumentStore>,
        publisher: Arc<dyn Publisher>,
    ) -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (waiting, idle) = (Arc::default(), Arc::default());
        (Self { ambient, store, publisher, sender, waiting, idle }, Inbox(receiver))
    }

    /// Publishes what it is told of, until every other handle is gone or the future is dropped.
    pub async fn run(self: Arc<Self>, mut inbox: Inbox) {
        while let Some(entry) = inbox.0.recv().await {
            if let Err(failure) = self.take(&entry).await {
                tracing::warn!(outbox.id = %entry.id, cause = %failure, "an event stays in the outbox");
            }
            if self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.idle.notify_waiters();
            }
        }
    }

    /// Waits until everything it was told of was tried once, consequences included.
    pub async fn settle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.waiting.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
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
            for (partition, record) in page {
                if record.data.not_before.is_none_or(|due| due <= self.ambient.now()) {
                    self.publish(container, &partition, record).await?;
                    tried += 1;
                }
            }
            match next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(tried),
            }
        }
    }

    async fn take(&self, entry: &OutboxEntry) -> Result<(), Failure> {
        let records = Repository::<OutboxRecord>::new(self.store.clone(), entry.container);
        match records.find(&entry.partition, &entry.id).await? {
            Some(record) if record.data.not_before.is_none_or(|due| due <= self.ambient.now()) => {
                self.publish(entry.container, &entry.partition, record).await
            }
            // What is due later is left to the sweep.
            _ => Ok(()),
        }
    }

    async fn publish(
        &self,
        container: &'static str,
        partition: &Partition,
        record: Record<OutboxRecord>,
    ) -> Result<(), Failure> {
        let outcome = self.publisher.publish(&record.data).await;
        let mut data = record.data.clone();
        data.delivered = outcome.delivered;
        for (consumer, reason) in outcome.rejected {
            tracing::error!(outbox.id = %record.meta.id, consumer, reason, "an event was rejected");
            data.rejected.push(coder_database::outbox::Rejection { consumer, reason });
        }
        match outcome.pending {
            None if data.rejected.is_empty() => {
                return self.settle_record(container, partition, &record, None).await;
            }
            None => data.dead = true,
            Some(reason) => {
                data.attempts += 1;
                data.dead = data.attempts >= MAX_ATTEMPTS;
                let doubled = FIRST_BACK_OFF_SECONDS.saturating_mul(1 << data.attempts.min(16));
                data.not_before = Some(self.ambient.after(doubled.min(LAST_BACK_OFF_SECONDS)));
                tracing::warn!(outbox.id = %record.meta.id, attempts = data.attempts, reason, "an event is tried again");
                data.last_error = Some(reason);
            }
        }
        self.settle_record(container, partition, &record, Some(data)).await
    }

    /// Removes a published record, or keeps what is left of one. Somebody else's change in between wins: the
    /// sweep sees the record again.
    async fn settle_record(
        &self,
        container: &'static str,
        partition: &Partition,
        record: &Record<OutboxRecord>,
        rest: Option<OutboxRecord>,
    ) -> Result<(), Failure> {
        match coder_database::outbox::settle(&self.store, container, partition, record, rest).await {
            Err(Failure::Stale) => Ok(()),
            other => other,
        }
    }
}
