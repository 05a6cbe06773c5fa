//! Data keys in the clear, for five minutes at most.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coder_core::{Ambient, Timestamp};
use coder_vault::DataKey;

/// How long a key is kept, in seconds.
pub(super) const KEPT_SECONDS: u32 = 5 * 60;

/// Most keys that are kept at once.
const MOST: usize = 10_000;

type Entries = HashMap<String, (Arc<DataKey>, Timestamp)>;

/// Unwrapped data keys by id. A key is overwritten when its last user lets it go.
pub(super) struct KeyCache {
    ambient: Ambient,
    entries: Arc<Mutex<Entries>>,
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KeyCache")
    }
}

fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KeyCache {
    pub(super) fn new(ambient: Ambient) -> Self {
        Self { ambient, entries: Arc::default() }
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<DataKey>> {
        let now = self.ambient.now();
        let mut entries = lock(&self.entries);
        if entries.get(id).is_some_and(|(_, until)| *until <= now) {
            entries.remove(id);
        }
        entries.get(id).map(|(key, _)| key.clone())
    }

    pub(super) fn keep(&self, id: &str, key: DataKey) -> Arc<DataKey> {
        let (now, until) = (self.ambient.now(), self.ambient.after(KEPT_SECONDS.into()));
        let key = Arc::new(key);
        let mut entries = lock(&self.entries);
        entries.retain(|_, (_, until)| *until > now);
        if entries.len() < MOST {
            entries.insert(id.to_owned(), (key.clone(), until));
            self.forget_later(&key);
        }
        key
    }

    pub(super) fn forget(&self, id: &str) {
        lock(&self.entries).remove(id);
    }

    /// Also a key that nobody asks for again goes when its time is over.
    fn forget_later(&self, key: &Arc<DataKey>) {
        let (entries, key) = (Arc::downgrade(&self.entries), Arc::downgrade(key));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(KEPT_SECONDS.into())).await;
            if let (Some(entries), Some(key)) = (entries.upgrade(), key.upgrade()) {
                lock(&entries).retain(|_, (kept, _)| !Arc::ptr_eq(kept, &key));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
    use coder_vault::DataKey;
    use jiff::SignedDuration;

    use super::{KEPT_SECONDS, KeyCache, lock};

    #[tokio::test(start_paused = true)]
    async fn a_key_goes_by_the_clock_and_without_being_asked_for() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let cache = KeyCache::new(ambient.clone());
        cache.keep("a", DataKey::generate(&ambient));
        clock.advance(SignedDuration::from_secs(i64::from(KEPT_SECONDS) - 1));
        assert!(cache.get("a").is_some() && cache.get("b").is_none());
        clock.advance(SignedDuration::from_secs(1));
        assert!(cache.get("a").is_none());

        cache.keep("a", DataKey::generate(&ambient));
        // The task that forgets it sets its timer first.
        tokio::task::yield_now().await;
        tokio::time::advance(std::time::Duration::from_secs(KEPT_SECONDS.into())).await;
        while !lock(&cache.entries).is_empty() {
            tokio::task::yield_now().await;
        }
        let newer = cache.keep("a", DataKey::generate(&ambient));
        cache.forget("a");
        assert!(cache.get("a").is_none() && std::sync::Arc::strong_count(&newer) == 1);
    }
}
