//! How a revocation in one process reaches the lists of the others at once, without waiting for their next look
//! into the store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coder_core::Ambient;
use tokio::sync::broadcast;

use crate::{Outlet, Revocation, Revocations};

/// How far a list may lag before it begins anew from what is kept.
const LAG: usize = 1_024;

/// Carries revocations between the lists that have joined it, in this process or in others. It is there for speed
/// alone: the list in the store is the truth, and it is that one whose age [`Revocations::fresh_at`] tells. A relay
/// that is away therefore lets nobody in for longer than the store's list would.
#[async_trait::async_trait]
pub trait RevocationRelay: Send + Sync + fmt::Debug {
    /// Lets `list` hear what was announced before and still matters, and then all that is announced; announces
    /// what comes out of its outlet. Never ends; whoever joined leaves by dropping the future.
    async fn join(&self, list: Arc<Revocations>, outlet: Outlet);
}

/// Joins the lists of one process.
#[derive(Debug, Clone)]
pub struct MemoryRelay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ambient: Ambient,
    kept: Mutex<Vec<Revocation>>,
    heard: broadcast::Sender<Revocation>,
}

impl MemoryRelay {
    /// A relay that nobody has joined.
    pub fn new(ambient: Ambient) -> Self {
        let shared = Shared { ambient, kept: Mutex::default(), heard: broadcast::Sender::new(LAG) };
        Self(Arc::new(shared))
    }

    fn announce(&self, revocation: Revocation) {
        let mut kept = self.kept();
        kept.push(revocation.clone());
        // Under the lock, so that whoever begins from what is kept misses nothing. Nobody may be listening.
        drop(self.0.heard.send(revocation));
    }

    /// All that still matters.
    fn kept(&self) -> MutexGuard<'_, Vec<Revocation>> {
        let now = self.0.ambient.now();
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| now < one.until);
        kept
    }

    fn begin(&self, list: &Revocations) -> broadcast::Receiver<Revocation> {
        let kept = self.kept();
        kept.iter().cloned().for_each(|one| list.hear(one));
        self.0.heard.subscribe()
    }
}

#[async_trait::async_trait]
impl RevocationRelay for MemoryRelay {
    async fn join(&self, list: Arc<Revocations>, mut outlet: Outlet) {
        let mut heard = self.begin(&list);
        loop {
            tokio::select! {
                Some(told) = outlet.next() => self.announce(told),
                received = heard.recv() => match received {
                    Ok(revocation) => list.hear(revocation),
                    Err(_) => heard = self.begin(&list),
                },
            }
        }
    }
}
