//! One queue for each chain in this process: entries that arrive together are written together, and nobody waits for
//! the head but the one who writes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coder_core::{Problem, Result};
use moka::sync::Cache;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::append::{Placed, Writer};
use crate::draft::Draft;
use crate::model::Trail;

/// Entries that may wait in one chain.
const WAITING: usize = 10_000;
/// Entries of a batch: the store takes 100 operations, and there is the head.
pub(super) const BATCH: usize = 90;
/// Bytes of a batch, by a rough count; the store takes 2 MB.
const BATCH_BYTES: usize = 1_200_000;
/// Chains that are remembered. Forgetting one loses nothing: at worst two writers meet at the head.
const LANES: u64 = 10_000;
const IDLE: Duration = Duration::from_mins(10);

/// The queues, by chain.
pub(super) struct Lanes(Cache<Trail, Arc<Lane>>);

impl std::fmt::Debug for Lanes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Lanes({})", self.0.entry_count())
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(LANES).time_to_idle(IDLE).build())
    }
}

impl Lanes {
    /// The queue of a chain.
    pub(super) fn of(&self, trail: Trail) -> Arc<Lane> {
        self.0.get_with(trail, Arc::default)
    }
}

/// What came of an entry that waited.
pub(super) type Outcome = Result<Placed, Problem>;

/// The queue of one chain.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: Mutex<Queue>,
    /// Held by the one who writes.
    pub(super) writer: AsyncMutex<Writer>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Entries that have left the queue so far.
    done: u64,
}

#[derive(Debug)]
struct Waiting {
    draft: Draft,
    bytes: usize,
    outcome: oneshot::Sender<Outcome>,
}

impl Lane {
    /// Adds entries; answers where their outcomes come, and the ticket of the last. `503` if too many wait.
    pub(super) fn add(&self, drafts: Vec<Draft>) -> Result<(Vec<oneshot::Receiver<Outcome>>, u64)> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.waiting.len() + drafts.len() > WAITING {
            return Err(
                Problem::unavailable("The audit log has too much to write; try again shortly.", 2).into()
            );
        }
        let mut receivers = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let (outcome, receiver) = oneshot::channel();
            let bytes = draft.rough_bytes();
            queue.waiting.push_back(Waiting { draft, bytes, outcome });
            receivers.push(receiver);
        }
        let ticket = queue.done + queue.waiting.len() as u64;
        Ok((receivers, ticket))
    }

    /// Whether the entry with this ticket still waits.
    pub(super) fn waits(&self, ticket: u64) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).done < ticket
    }

    /// The next batch. It stays in the queue until it is [`settled`](Self::settle), so that a writer who goes away
    /// leaves it to the next.
    pub(super) fn batch(&self) -> Vec<Draft> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.bytes;
            bytes <= BATCH_BYTES || bytes == waiting.bytes
        };
        queue.waiting.iter().take(BATCH).take_while(fits).map(|waiting| waiting.draft.clone()).collect()
    }

    /// Tells the first entries of the queue what came of them. Who has gone away needs no word.
    pub(super) fn settle(&self, outcomes: Vec<Outcome>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes {
            queue.done += 1;
            if let Some(waiting) = queue.waiting.pop_front()
                && waiting.outcome.send(outcome).is_err()
            {
                tracing::debug!("nobody waits for the entry any more");
            }
        }
    }
}
