//! Has committed events published at once when told of them, and by sweeping what was left.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coder_core::{Ambient, Failure};
use coder_database::transaction::OutboxEntry;
use coder_database::{DocumentStore, PlatformJob};
use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};

use crate::outbox::Outboxes;
use crate::publisher::{MESSAGES_A_CALL, Publisher};

/// Is told of events that were just committed, and publishes them soon. Never waits: what it cannot take, the
/// sweep finds in the outbox.
pub trait OutboxNotifier: Send + Sync + fmt::Debug {
    /// These records wait.
    fn committed(&self, entries: Vec<OutboxEntry>);
}

/// Entries that may wait for their turn; more are left to the sweep.
const WAITING: usize = 4096;

/// Publishes what waits in the outboxes of some containers.
pub struct Dispatcher {
    outboxes: Outboxes,
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
                self.done(1);
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
        Self::with_room(WAITING, ambient, store, publisher)
    }

    /// The same with room for so many entries that wait, at least one.
    pub fn with_room(
        room: usize,
        ambient: Ambient,
        store: Arc<dyn DocumentStore>,
        publisher: Arc<dyn Publisher>,
    ) -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(room.max(1));
        let (waiting, idle) = (Arc::default(), Arc::default());
        (Self { outboxes: Outboxes::new(ambient, store, publisher), sender, waiting, idle }, Inbox(receiver))
    }

    /// Publishes what it is told of, as much at once as waits, until every other handle is gone or the future is
    /// dropped.
    pub async fn run(self: Arc<Self>, mut inbox: Inbox) {
        let mut entries = Vec::with_capacity(MESSAGES_A_CALL);
        while inbox.0.recv_many(&mut entries, MESSAGES_A_CALL).await > 0 {
            // What waits there already is older, and goes first.
            let places: HashSet<_> =
                entries.iter().map(|entry| (entry.container, &entry.partition)).collect();
            let found =
                places.into_iter().map(|(container, partition)| self.outboxes.waiting(container, partition));
            let found = join_all(found).await;
            self.outboxes.publish(found.into_iter().flatten().collect()).await;
            self.done(entries.len());
            entries.clear();
        }
    }

    /// Waits until everything it was told of was tried once.
    pub async fn settle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.waiting.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Publishes what is due in the outbox of a container; answers how many records it tried.
    pub async fn sweep(&self, job: &PlatformJob, container: &'static str) -> Result<usize, Failure> {
        self.outboxes.sweep(job, container).await
    }

    fn done(&self, count: usize) {
        if self.waiting.fetch_sub(count, Ordering::SeqCst) == count {
            self.idle.notify_waiters();
        }
    }
}
