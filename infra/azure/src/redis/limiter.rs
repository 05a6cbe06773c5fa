//! Token buckets that all instances share: one script, one round trip.

use ::redis::Script;
use async_trait::async_trait;
use coder_cache::{Decision, Limit, MemoryLimiter, RateLimiter};
use coder_core::Ambient;

use super::Redis;
use super::connection::Commands;

/// Counts in Redis. The counts are integers below 2⁵³, which the script's numbers hold exactly.
///
/// The time is the server's: instances' clocks differ, and a bucket that is filled by the one and drawn from by the
/// other would be given the difference each time.
///
/// While Redis is away each instance counts in its own memory, so that a limit is for a while one for each instance:
/// looser, but never off, and nobody is refused for it.
#[derive(Debug)]
pub struct RedisLimiter {
    redis: Redis,
    script: Script,
    clock: Option<Ambient>,
    alone: MemoryLimiter,
}

impl RedisLimiter {
    /// A limiter in this Redis, on the server's clock.
    pub fn new(redis: Redis) -> Self {
        let alone = MemoryLimiter::new(redis.ambient().clone());
        Self { redis, script: Script::new(include_str!("take.lua")), clock: None, alone }
    }

    /// The limiter on the injected clock instead, for tests that move it.
    pub fn on_clock(self, ambient: Ambient) -> Self {
        Self { clock: Some(ambient), ..self }
    }
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn take(&self, key: &str, limit: Limit, cost: u32) -> Decision {
        let now = self.clock.as_ref().map(|ambient| ambient.now().as_millisecond().to_string());
        let mut call = self.script.key(self.redis.key("limit", key));
        call.arg(limit.capacity())
            .arg(limit.per_millisecond())
            .arg(limit.units(cost))
            .arg(now.unwrap_or_default());
        match self.redis.run::<(bool, u64)>(Commands::Script(&call)).await {
            Ok((allowed, level)) => Decision::of(limit, cost, allowed, level),
            Err(_away) => self.alone.take(key, limit, cost).await,
        }
    }
}
