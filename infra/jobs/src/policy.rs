//! How often a one-time job is tried, how far apart, and how long a run may take.

use std::time::Duration;

use coder_core::{Ambient, Timestamp};
use jiff::SignedDuration;

/// The retry policy of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobPolicy {
    /// Runs that may fail; then the job is dead. At least one.
    pub attempts: u32,
    /// Runs that may be cut off; then the job is dead, since it may be what ends its processes. At least one. A run
    /// is cut off if its lease ends before it has said what came of it: its process was killed, or hung.
    pub cut_offs: u32,
    /// The longest wait before the second attempt; it doubles with every further one. The wait itself is random
    /// between nothing and this (full jitter), so that what failed together does not come again together. Whoever
    /// was cut off waits for the lease to end, and from the second time on for as long as after as many failures
    /// less one.
    pub first_wait: Duration,
    /// The most that the longest wait grows to.
    pub longest_wait: Duration,
    /// The longest that one run may take; longer ones are failed attempts. The host ends a run at 4 minutes, so
    /// more is of no use: longer work goes step by step, and takes up where the last run got to.
    pub deadline: Duration,
}

/// The deadline of a run: some time before the host's, so that the failure can still be recorded.
pub const DEADLINE: Duration = Duration::from_secs(230);

impl Default for JobPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            // Much more than may fail, since mostly it is not the job's fault: hosts come and go, and all that they run
            // is cut off. The waits in between grow to half an hour on average, so that a job outlives hours of
            // restarts, and one that ends its process does so ever more seldom.
            cut_offs: 20,
            first_wait: Duration::from_secs(15),
            longest_wait: Duration::from_hours(1),
            deadline: DEADLINE,
        }
    }
}

impl JobPolicy {
    /// The longest wait after this many failed attempts.
    pub fn longest_after(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.first_wait.saturating_mul(1 << doublings).min(self.longest_wait)
    }

    /// When to go on after having been cut off this many times: at once after the first, which waited for its lease.
    pub fn after_cut_off(&self, cut_offs: u32, ambient: &Ambient) -> Timestamp {
        if cut_offs > 1 { self.again_at(cut_offs - 1, ambient) } else { ambient.now() }
    }

    /// When to try again after this many failed attempts.
    pub fn again_at(&self, attempts: u32, ambient: &Ambient) -> Timestamp {
        let longest = u64::try_from(self.longest_after(attempts).as_millis()).unwrap_or(u64::MAX);
        let random = u64::from_be_bytes(ambient.random::<8>());
        let wait = random.checked_rem(longest.saturating_add(1)).unwrap_or(random);
        let wait = SignedDuration::from_millis(i64::try_from(wait).unwrap_or(i64::MAX));
        ambient.now().saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_core::{ManualClock, OsEntropy};

    #[test]
    fn waits_double_up_to_the_longest_and_are_random() {
        let policy = JobPolicy::default();
        let longest: Vec<u64> = (1..12).map(|attempts| policy.longest_after(attempts).as_secs()).collect();
        assert_eq!(longest, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        let now = Timestamp::from_second(1_770_000_000).unwrap();
        let ambient = Ambient::new(ManualClock::at(now), OsEntropy);
        let waits: Vec<i64> =
            (0..500).map(|_| policy.again_at(3, &ambient).duration_since(now).as_secs()).collect();
        assert!(waits.iter().all(|wait| (0..=60).contains(wait)), "{waits:?}");
        // 500 draws from 60 s miss a whole fifth of it once in 10^48 tests.
        assert!((0..5).all(|part| waits.iter().any(|wait| wait / 12 == part)), "{waits:?}");
    }
}
