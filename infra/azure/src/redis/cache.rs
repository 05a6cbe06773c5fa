//! Cached bytes that all instances share.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Cmd;
use async_trait::async_trait;
use coder_cache::Cache;
use jiff::{SignedDuration, Timestamp};

use super::Redis;
use super::connection::{Away, Commands};

/// The longest time to live that Redis is told.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Keeps bytes in Redis. Each value has eight bytes before it that say until when it is good, so that the injected
/// clock decides, as everywhere; Redis' own time to live is what makes room.
#[derive(Debug, Clone)]
pub struct RedisCache(Redis);

impl RedisCache {
    /// A cache in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self(redis)
    }

    fn key(&self, key: &str) -> String {
        self.0.key("cache", key)
    }

    /// What is not kept is not found. What is not removed ends by itself.
    async fn write(&self, command: &Cmd) {
        if let Err(Away) = self.0.run::<()>(Commands::One(command)).await {
            tracing::debug!("the cache was not written");
        }
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Option<Arc<[u8]>> {
        let kept = self.0.run::<Option<Vec<u8>>>(Commands::One(&Cmd::get(self.key(key)))).await.ok()??;
        let (until, bytes) = kept.split_first_chunk()?;
        if self.0.ambient().now().as_millisecond() < i64::from_be_bytes(*until) {
            return Some(bytes.into());
        }
        self.remove(key).await;
        None
    }

    async fn put(&self, key: &str, bytes: Arc<[u8]>, ttl: Duration) {
        if ttl.is_zero() {
            return self.remove(key).await;
        }
        let lifetime = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        let until = self.0.ambient().now().saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let value = [&until.as_millisecond().to_be_bytes(), &bytes[..]].concat();
        let milliseconds = u64::try_from(ttl.min(LONGEST).as_millis()).unwrap_or(u64::MAX).max(1);
        self.write(&Cmd::pset_ex(self.key(key), value, milliseconds)).await;
    }

    async fn remove(&self, key: &str) {
        self.write(&Cmd::del(self.key(key))).await;
    }
}
