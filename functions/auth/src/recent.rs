//! What was fetched from elsewhere, kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use coder_core::Timestamp;
use jiff::SignedDuration;

/// Most values that are kept; beyond, the oldest goes.
const CAPACITY: usize = 256;

/// Values by where they come from.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    lifetime: SignedDuration,
    kept: Mutex<HashMap<String, (Timestamp, Arc<T>)>>,
}

impl<T> Recent<T> {
    /// Keeps each value for this long.
    pub(crate) fn kept_for(lifetime: SignedDuration) -> Self {
        Self { lifetime, kept: Mutex::default() }
    }

    /// The value, unless it is too old.
    pub(crate) fn get(&self, key: &str, now: Timestamp) -> Option<Arc<T>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (fetched_at, value) = kept.get(key)?;
        (now.duration_since(*fetched_at) < self.lifetime).then(|| Arc::clone(value))
    }

    /// Keeps a value that was just fetched.
    pub(crate) fn put(&self, key: &str, value: T, now: Timestamp) -> Arc<T> {
        let value = Arc::new(value);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CAPACITY && !kept.contains_key(key) {
            let oldest =
                kept.iter().min_by_key(|(_, (fetched_at, _))| *fetched_at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        kept.insert(key.to_owned(), (now, Arc::clone(&value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use jiff::SignedDuration;

    use super::{CAPACITY, Recent};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn forgets_after_its_time() {
        let cache = Recent::kept_for(SignedDuration::from_hours(1));
        cache.put("a", 1, at(0));
        assert_eq!(cache.get("a", at(3599)).as_deref(), Some(&1));
        assert_eq!(cache.get("a", at(3600)), None);
        assert_eq!(cache.get("b", at(0)), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let cache = Recent::kept_for(SignedDuration::from_hours(1));
        for n in 0..=i64::try_from(CAPACITY).unwrap() {
            cache.put(&n.to_string(), n, at(n));
        }
        assert_eq!(cache.get("0", at(300)), None);
        assert_eq!(cache.get("1", at(300)).as_deref(), Some(&1));
        assert_eq!(cache.kept.lock().unwrap().len(), CAPACITY);
    }
}
