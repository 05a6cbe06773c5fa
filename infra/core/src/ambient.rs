//! Time and randomness, injected. Nothing else in the platform may ask the machine for either, so that a test
//! can move the clock and repeat a run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Says what time it is.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// Gives unpredictable bytes, fit for keys.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `bytes` completely.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's generator of random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // Straight from the kernel: the generator of aws-lc would first measure the processor's jitter, for some
        // 50 ms of every process's start and again in every thread.
        if getrandom::fill(bytes).is_err() {
            // Going on with predictable keys would be worse than stopping.
            std::process::abort();
        }
    }
}

/// A clock that moves only when told to; clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millisecond())))
    }

    /// Moves the clock forward (or back, for a negative duration).
    pub fn advance(&self, by: SignedDuration) {
        let milliseconds = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// The injected sources of time and randomness, passed by value to whoever needs them.
#[derive(Debug, Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Milliseconds and a 12-bit counter of the last id.
    last_id: Arc<AtomicU64>,
}

impl Ambient {
    /// Bundles a clock and a source of random bytes.
    pub fn new(clock: impl Clock + 'static, entropy: impl Entropy + 'static) -> Self {
        Self { clock: Arc::new(clock), entropy: Arc::new(entropy), last_id: Arc::default() }
    }

    /// The machine's own clock and generator.
    pub fn system() -> Self {
        Self::new(SystemClock, OsEntropy)
    }

    /// The current time, cut to milliseconds, the finest unit that is stored.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// The time `seconds` from now.
    pub fn after(&self, seconds: i64) -> Timestamp {
        self.now().saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A new `UUIDv7`. Those made by one process sort in the order they were made, also within a millisecond
    /// (RFC 9562, 6.2, method 1).
    pub fn new_uuid(&self) -> Uuid {
        let milliseconds = u64::try_from(self.now().as_millisecond()).unwrap_or(0);
        let next = |last: u64| Some((milliseconds << 12).max(last + 1));
        let last =
            self.last_id.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).unwrap_or_else(|last| last);
        let id = (milliseconds << 12).max(last + 1);
        let mut random = self.random::<10>();
        random[0] = (id >> 8).to_be_bytes()[7] & 0x0f;
        random[1] = id.to_be_bytes()[7];
        uuid::Builder::from_unix_timestamp_millis(id >> 12, &random).into_uuid()
    }

    /// A new id of the wanted kind.
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        T::from(self.new_uuid())
    }

    /// A new entity tag: 16 hexadecimal digits, different at every write.
    pub fn new_etag(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.random::<8>())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ambient, ManualClock, OsEntropy};
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn ids_sort_in_the_order_they_were_made() {
        let clock = ManualClock::at(Timestamp::from_second(1_750_000_000).unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let mut last = ambient.new_uuid();
        for n in 0..10_000 {
            match n {
                5_000 => clock.advance(SignedDuration::from_secs(-60)),
                7_000 => clock.advance(SignedDuration::from_mins(10)),
                _ => {}
            }
            let next = ambient.new_uuid();
            assert!(next > last, "{n}: {next} is not after {last}");
            assert_eq!((next.get_version_num(), next.get_variant()), (7, uuid::Variant::RFC4122));
            last = next;
        }
    }
}
