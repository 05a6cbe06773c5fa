//! Rate limits: one token bucket for each key, counted in integers on the injected clock.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use coder_core::Ambient;

/// How many keys are remembered at once, over all shards.
const MAX_KEYS: usize = 100_000;
const SHARDS: usize = 64;
/// A level counts 60,000ths of a token: so many come back in a millisecond as tokens do in a minute.
pub const UNITS_PER_TOKEN: u64 = 60_000;

/// How much a key may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Tokens that come back in a minute, evenly spread. Zero counts as one.
    pub per_minute: u32,
    /// Tokens that a rested key can use at once. Zero counts as one.
    pub burst: u32,
}

impl Limit {
    /// A limit whose burst is a minute's worth.
    pub fn per_minute(tokens: u32) -> Self {
        Self { per_minute: tokens, burst: tokens }
    }

    /// The level of a rested bucket, in units.
    pub fn capacity(self) -> u64 {
        u64::from(self.burst.max(1)) * UNITS_PER_TOKEN
    }

    /// How many units come back in a millisecond.
    pub fn per_millisecond(self) -> u64 {
        u64::from(self.per_minute.max(1))
    }

    /// How many units a cost takes: never more than a rested bucket has.
    pub fn units(self, cost: u32) -> u64 {
        (u64::from(cost) * UNITS_PER_TOKEN).min(self.capacity())
    }
}

/// What became of a request for tokens; enough to fill the `RateLimit-*` and `Retry-After` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the tokens were taken. If not, none was.
    pub allowed: bool,
    /// The most that the key can use at once.
    pub limit: u32,
    /// Whole tokens left.
    pub remaining: u32,
    /// Seconds until the key is rested again, rounded up.
    pub reset_seconds: u64,
    /// Seconds after which the same request would pass, rounded up; 0 if it was allowed.
    pub retry_after_seconds: u64,
}

impl Decision {
    /// The decision that left `level` units in a bucket. A cost that was refused is what is missing now.
    pub fn of(limit: Limit, cost: u32, allowed: bool, level: u64) -> Self {
        let seconds = |units: u64| units.div_ceil(limit.per_millisecond()).div_ceil(1_000);
        let missing = if allowed { 0 } else { limit.units(cost).saturating_sub(level) };
        Self {
            allowed,
            limit: limit.burst.max(1),
            remaining: u32::try_from(level / UNITS_PER_TOKEN).unwrap_or(u32::MAX),
            reset_seconds: seconds(limit.capacity().saturating_sub(level)),
            retry_after_seconds: seconds(missing),
        }
    }
}

/// Counts use against limits.
#[async_trait::async_trait]
pub trait RateLimiter: Send + Sync + std::fmt::Debug {
    /// Takes `cost` tokens from the bucket of `key`, all or none. A cost over the burst is charged as the
    /// burst, since it could never pass otherwise. A key that was never seen is rested. The limit may change
    /// from call to call; a lower one cuts what was saved up.
    async fn take(&self, key: &str, limit: Limit, cost: u32) -> Decision;
}

/// Counts in the memory of this process. At 100,000 keys it forgets rested ones, which loses nothing, or
/// else the one nearest to rest.
pub struct MemoryLimiter {
    ambient: Ambient,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Box<str>, Bucket>>>,
    keys_per_shard: usize,
}

impl MemoryLimiter {
    /// A limiter on this clock that has seen nobody.
    pub fn new(ambient: Ambient) -> Self {
        Self::with_shards(ambient, SHARDS, MAX_KEYS.div_ceil(SHARDS))
    }

    fn with_shards(ambient: Ambient, shards: usize, keys_per_shard: usize) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(shards.max(1)).collect();
        Self { ambient, hasher: RandomState::new(), shards, keys_per_shard: keys_per_shard.max(1) }
    }

    fn take_now(&self, key: &str, limit: Limit, cost: u32) -> Decision {
        let now = self.ambient.now().as_millisecond();
        let slot = usize::try_from(self.hasher.hash_one(key)).unwrap_or(usize::MAX) % self.shards.len();
        let mut shard = self.shards[slot].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = shard.get_mut(key) {
            return bucket.take(limit, cost, now);
        }
        if shard.len() >= self.keys_per_shard {
            make_room(&mut shard, now);
        }
        let mut bucket = Bucket::rested(limit, now);
        let decision = bucket.take(limit, cost, now);
        shard.insert(key.into(), bucket);
        decision
    }
}

#[async_trait::async_trait]
impl RateLimiter for MemoryLimiter {
    async fn take(&self, key: &str, limit: Limit, cost: u32) -> Decision {
        self.take_now(key, limit, cost)
    }
}

impl std::fmt::Debug for MemoryLimiter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("MemoryLimiter")
    }
}

/// Forgets the keys that are rested or, if none is, the one that will be first.
fn make_room(shard: &mut HashMap<Box<str>, Bucket>, now: i64) {
    let before = shard.len();
    shard.retain(|_, bucket| bucket.rested_at() > now);
    if shard.len() < before {
        return;
    }
    let nearest = shard.iter().min_by_key(|(_, bucket)| bucket.rested_at()).map(|(key, _)| key.clone());
    if let Some(key) = nearest {
        shard.remove(&key);
    }
}

/// The state of one key.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    capacity: u64,
    per_millisecond: u64,
    /// When the level was right, in milliseconds since 1970.
    at: i64,
}

impl Bucket {
    fn rested(limit: Limit, now: i64) -> Self {
        let capacity = limit.capacity();
        Self { level: capacity, capacity, per_millisecond: limit.per_millisecond(), at: now }
    }

    fn take(&mut self, limit: Limit, cost: u32, now: i64) -> Decision {
        // What came back since was earned at the rate of before.
        self.refill(now);
        self.capacity = limit.capacity();
        self.per_millisecond = limit.per_millisecond();
        self.level = self.level.min(self.capacity);

        let wanted = limit.units(cost);
        let allowed = wanted <= self.level;
        if allowed {
            self.level -= wanted;
        }
        Decision::of(limit, cost, allowed, self.level)
    }

    /// A clock that went back gives nothing and takes nothing.
    fn refill(&mut self, now: i64) {
        let passed = u64::try_from(now.saturating_sub(self.at)).unwrap_or(0);
        self.level =
            passed.saturating_mul(self.per_millisecond).saturating_add(self.level).min(self.capacity);
        self.at = now;
    }

    fn rested_at(&self) -> i64 {
        let missing = (self.capacity - self.level).div_ceil(self.per_millisecond);
        self.at.saturating_add(i64::try_from(missing).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests;
