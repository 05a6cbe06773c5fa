//! Bytes that are kept until a time, or until the room is needed.

use std::sync::Arc;
use std::time::Duration;

use coder_core::Ambient;
use jiff::{SignedDuration, Timestamp};

/// How many bytes of keys and values are kept by default.
const DEFAULT_CAPACITY_BYTES: u64 = 64 * 1024 * 1024;

/// Keeps bytes by key for a while. A value may go at any time; nobody may rely on finding it.
#[async_trait::async_trait]
pub trait Cache: Send + Sync + std::fmt::Debug {
    /// The value, if it is still there.
    async fn get(&self, key: &str) -> Option<Arc<[u8]>>;

    /// Keeps `bytes` for at most `ttl`, in place of what was there.
    async fn put(&self, key: &str, bytes: Arc<[u8]>, ttl: Duration);

    /// Forgets the value.
    async fn remove(&self, key: &str);
}

/// Keeps bytes in the memory of this process. The library decides what goes when the room is needed; the time
/// to live is ours, since it has to follow the injected clock.
#[derive(Debug, Clone)]
pub struct MemoryCache {
    ambient: Ambient,
    entries: moka::future::Cache<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    bytes: Arc<[u8]>,
    until: Timestamp,
}

impl MemoryCache {
    /// A cache of 64 MiB.
    pub fn new(ambient: Ambient) -> Self {
        Self::with_capacity(ambient, DEFAULT_CAPACITY_BYTES)
    }

    /// A cache of so many bytes, keys included.
    pub fn with_capacity(ambient: Ambient, bytes: u64) -> Self {
        let entries = moka::future::Cache::builder()
            .max_capacity(bytes)
            .weigher(|key: &String, entry: &Entry| {
                u32::try_from(key.len() + entry.bytes.len()).unwrap_or(u32::MAX)
            })
            .build();
        Self { ambient, entries }
    }
}

#[async_trait::async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Option<Arc<[u8]>> {
        let entry = self.entries.get(key).await?;
        if self.ambient.now() < entry.until {
            return Some(entry.bytes);
        }
        self.entries.invalidate(key).await;
        None
    }

    async fn put(&self, key: &str, bytes: Arc<[u8]>, ttl: Duration) {
        let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        let until = self.ambient.now().saturating_add(ttl).unwrap_or(Timestamp::MAX);
        self.entries.insert(key.to_owned(), Entry { bytes, until }).await;
    }

    async fn remove(&self, key: &str) {
        self.entries.invalidate(key).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coder_core::Ambient;

    use super::{Cache as _, MemoryCache};

    #[tokio::test]
    async fn stays_within_its_capacity() {
        let cache = MemoryCache::with_capacity(Ambient::system(), 1_000);
        for number in 0..100 {
            cache.put(&format!("{number:02}"), [0; 98].into(), Duration::from_mins(1)).await;
        }
        cache.entries.run_pending_tasks().await;
        assert!(cache.entries.weighted_size() <= 1_000);
        assert!(cache.entries.entry_count() > 0);
    }
}
