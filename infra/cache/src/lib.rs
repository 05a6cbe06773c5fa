//! What a request chain remembers for a short while: rate limits, cached bytes and revoked credentials. Traits,
//! and their implementations in the memory of one process. Nothing here is durable; losing it costs time, not
//! data.

mod bytes;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod limiter;
mod relay;
mod revocations;

pub use bytes::{Cache, MemoryCache};
pub use limiter::{Decision, Limit, MemoryLimiter, RateLimiter, UNITS_PER_TOKEN};
pub use relay::{MemoryRelay, RevocationRelay};
pub use revocations::{Outlet, Revocation, Revocations, Revoked};

#[cfg(test)]
mod tests {
    //! The in-memory providers pass the suite.

    use std::sync::Arc;

    use coder_core::{Ambient, ManualClock, OsEntropy};

    use crate::contract::{self, Subject};
    use crate::{MemoryCache, MemoryLimiter, MemoryRelay};

    #[expect(clippy::unused_async, reason = "the suite waits for its subject")]
    async fn memory() -> Subject {
        let clock = ManualClock::at(contract::start());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let limiter = Arc::new(MemoryLimiter::new(ambient.clone()));
        let relay = Arc::new(MemoryRelay::new(ambient.clone()));
        Subject {
            cache: Arc::new(MemoryCache::new(ambient.clone())),
            limiters: [limiter.clone(), limiter],
            relays: [relay.clone(), relay],
            clock,
            ambient,
            keep: Box::new(()),
        }
    }

    crate::contract_tests!(crate::tests::memory);
}
