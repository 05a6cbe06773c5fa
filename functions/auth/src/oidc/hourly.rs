//! What is fetched from providers, kept for an hour.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use coder_core::Timestamp;
use jiff::SignedDuration;

const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Most addresses that are kept; beyond, the oldest goes.
const CAPACITY: usize = 256;

/// Values by address.
#[derive(Debug)]
pub(super) struct Hourly<T>(Mutex<HashMap<String, (Timestamp, Arc<T>)>>);

impl<T> Default for Hourly<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Hourly<T> {
    /// The value, unless it is too old.
    pub(super) fn get(&self, address: &str, now: Timestamp) -> Option<Arc<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (fetched_at, value) = kept.get(address)?;
        (now.duration_since(*fetched_at) < KEPT).then(|| Arc::clone(value))
    }

    /// Keeps a value that was just fetched.
    pub(super) fn put(&self, address: &str, value: T, now: Timestamp) -> Arc<T> {
        let value = Arc::new(value);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CAPACITY && !kept.contains_key(address) {
            let oldest =
                kept.iter().min_by_key(|(_, (fetched_at, _))| *fetched_at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        kept.insert(address.to_owned(), (now, Arc::clone(&value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use jiff::SignedDuration;

    use super::{CAPACITY, Hourly};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn forgets_after_an_hour() {
        let cache = Hourly::default();
        cache.put("a", 1, at(0));
        assert_eq!(cache.get("a", at(3599)).as_deref(), Some(&1));
        assert_eq!(cache.get("a", at(3600)), None);
        assert_eq!(cache.get("b", at(0)), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let cache = Hourly::default();
        for n in 0..=i64::try_from(CAPACITY).unwrap() {
            cache.put(&n.to_string(), n, at(n));
        }
        assert_eq!(cache.get("0", at(300)), None);
        assert_eq!(cache.get("1", at(300)).as_deref(), Some(&1));
        assert_eq!(cache.0.lock().unwrap().len(), CAPACITY);
    }
}
