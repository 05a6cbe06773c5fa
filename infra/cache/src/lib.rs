//! What a request chain remembers for a short while: rate limits, cached bytes and revoked credentials. Traits,
//! and their implementations in the memory of one process. Nothing here is durable; losing it costs time, not
//! data.

mod bytes;
mod limiter;
mod revocations;

pub use bytes::{Cache, MemoryCache};
pub use limiter::{Decision, Limit, MemoryLimiter, RateLimiter};
pub use revocations::Revocations;
