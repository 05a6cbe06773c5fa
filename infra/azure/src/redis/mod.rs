//! Azure Managed Redis: what the instances of all function apps share for a short while. Everything here is there to
//! be lost: without Redis limits are counted by each instance for itself, cached bytes are not found, and revocations
//! are heard of from the list in the store, whose age decides whether sessions are believed. Nothing that somebody else
//! wrote into Redis lets anybody in: what decides about rights is sealed under a key of the platform.

mod cache;
mod connection;
mod credentials;
mod limiter;
mod relay;

pub use cache::RedisCache;
pub use connection::{Redis, RedisOptions, SetupError};
pub use limiter::RedisLimiter;
pub use relay::RedisRelay;
