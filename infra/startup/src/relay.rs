//! How a revocation in this process reaches the others at once, where there is a way.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use coder_cache::{Outlet, RevocationRelay, Revocations};

/// A relay and the outlet of the list that it is for; joined once.
pub struct Relay(Mutex<Option<(Arc<dyn RevocationRelay>, Outlet)>>);

impl fmt::Debug for Relay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Relay").finish_non_exhaustive()
    }
}

impl Relay {
    /// No other process: everybody reads the list in the store.
    pub fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// By this relay.
    pub fn over(relay: Arc<dyn RevocationRelay>, outlet: Outlet) -> Self {
        Self(Mutex::new(Some((relay, outlet))))
    }

    /// Carries revocations, for ever.
    pub(crate) async fn run(&self, list: Arc<Revocations>) {
        let joined = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match joined {
            Some((relay, outlet)) => relay.join(list, outlet).await,
            None => std::future::pending().await,
        }
    }
}
