//! How guessing is slowed down. Accounts are never locked, so that an attacker cannot lock a person out.

use coder_core::Timestamp;
use jiff::SignedDuration;

use crate::model::Throttle;

/// Failures in a row from which on the next try must wait.
pub const FREE_FAILURES: u32 = 5;
/// Links that may be asked for in an hour for one address.
pub const REQUESTS_AN_HOUR: usize = 10;
/// Mails an hour to one address.
pub const MAILS_AN_HOUR: usize = 3;

const FIRST_WAIT_SECONDS: u32 = 30;
const LONGEST_WAIT_SECONDS: u32 = 900;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A try that does not count: come back after this many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// For `Retry-After`; at least 1.
    pub seconds: u64,
}

impl Throttle {
    /// Whether the next password or code is looked at.
    pub fn admit_try(&self, now: Timestamp) -> Result<(), Wait> {
        let Some(last) = self.last_failure_at.filter(|_| !self.is_stale(now)) else { return Ok(()) };
        let wait = SignedDuration::from_secs(wait_seconds(self.failures).into());
        wait_until(last.saturating_add(wait).unwrap_or(Timestamp::MAX), now)
    }

    /// Counts a wrong password or code.
    pub fn count_failure(&mut self, now: Timestamp) {
        let before = if self.is_stale(now) { 0 } else { self.failures };
        self.failures = before.saturating_add(1);
        self.last_failure_at = Some(now);
    }

    /// Forgets the failures after a good login; answers whether there were any.
    pub fn reset_failures(&mut self) -> bool {
        self.last_failure_at = None;
        std::mem::take(&mut self.failures) > 0
    }

    /// Counts a request for a link, or says when the next one is looked at.
    pub fn count_request(&mut self, now: Timestamp) -> Result<(), Wait> {
        count(&mut self.requested_at, REQUESTS_AN_HOUR, now)
    }

    /// Counts a mail, or says when the next one may go.
    pub fn count_mail(&mut self, now: Timestamp) -> Result<(), Wait> {
        count(&mut self.mailed_at, MAILS_AN_HOUR, now)
    }

    /// Failures an hour old no longer count; the store may be slow to drop the document.
    fn is_stale(&self, now: Timestamp) -> bool {
        self.last_failure_at.is_some_and(|last| now.duration_since(last) >= HOUR)
    }
}

/// Seconds to wait after this many failures: min(30 · 2^(n−5), 900), and none before the fifth.
fn wait_seconds(failures: u32) -> u32 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(more) => 2_u32
            .checked_pow(more)
            .and_then(|factor| FIRST_WAIT_SECONDS.checked_mul(factor))
            .map_or(LONGEST_WAIT_SECONDS, |seconds| seconds.min(LONGEST_WAIT_SECONDS)),
    }
}

/// Keeps the times of the last hour and adds one if there is room.
fn count(times: &mut Vec<Timestamp>, most: usize, now: Timestamp) -> Result<(), Wait> {
    times.retain(|time| now.duration_since(*time) < HOUR);
    if times.len() < most {
        times.push(now);
        return Ok(());
    }
    let oldest = times.iter().min().copied().unwrap_or(now);
    wait_until(oldest.saturating_add(HOUR).unwrap_or(Timestamp::MAX), now)
}

fn wait_until(end: Timestamp, now: Timestamp) -> Result<(), Wait> {
    let milliseconds = end.as_millisecond().saturating_sub(now.as_millisecond());
    match u64::try_from(milliseconds) {
        Ok(milliseconds @ 1..) => Err(Wait { seconds: milliseconds.div_ceil(1000) }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use jiff::SignedDuration;

    use super::{Wait, wait_seconds};
    use crate::model::Throttle;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn the_wait_doubles_up_to_a_quarter_of_an_hour() {
        let waits: Vec<_> = (0..13).map(wait_seconds).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(wait_seconds(u32::MAX), 900);
    }

    #[test]
    fn five_failures_are_free_and_the_sixth_try_waits() {
        let mut throttle = Throttle::default();
        for n in 0..5 {
            assert_eq!(throttle.admit_try(at(n)), Ok(()), "try {n}");
            throttle.count_failure(at(n));
        }
        assert_eq!(throttle.admit_try(at(4)), Err(Wait { seconds: 30 }));
        assert_eq!(throttle.admit_try(at(33)), Err(Wait { seconds: 1 }));
        let almost = at(34) - SignedDuration::from_millis(1);
        assert_eq!(throttle.admit_try(almost), Err(Wait { seconds: 1 }));
        assert_eq!(throttle.admit_try(at(34)), Ok(()));
        throttle.count_failure(at(34));
        assert_eq!(throttle.admit_try(at(34)), Err(Wait { seconds: 60 }));
    }

    #[test]
    fn a_good_login_or_an_hour_resets() {
        let mut throttle = Throttle { failures: 9, last_failure_at: Some(at(0)), ..Throttle::default() };
        assert_eq!(throttle.admit_try(at(3600)), Ok(()));
        let mut aged = throttle.clone();
        aged.count_failure(at(3600));
        assert_eq!(aged.failures, 1);
        assert!(throttle.reset_failures());
        assert!(!throttle.reset_failures());
        assert_eq!(throttle, Throttle::default());
    }

    #[test]
    fn a_clock_that_went_back_does_not_shorten_the_wait_to_nothing() {
        let throttle = Throttle { failures: 5, last_failure_at: Some(at(100)), ..Throttle::default() };
        assert_eq!(throttle.admit_try(at(90)), Err(Wait { seconds: 40 }));
    }

    #[test]
    fn three_mails_and_ten_requests_an_hour() {
        let mut throttle = Throttle::default();
        for n in 0..3 {
            assert_eq!(throttle.count_mail(at(n * 60)), Ok(()));
        }
        assert_eq!(throttle.count_mail(at(180)), Err(Wait { seconds: 3600 - 180 }));
        assert_eq!(throttle.count_mail(at(3600)), Ok(()));
        assert_eq!(throttle.count_mail(at(3601)), Err(Wait { seconds: 59 }));
        for n in 0..10 {
            assert_eq!(throttle.count_request(at(n)), Ok(()));
        }
        assert_eq!(throttle.count_request(at(10)), Err(Wait { seconds: 3590 }));
        assert_eq!((throttle.mailed_at.len(), throttle.requested_at.len()), (3, 10));
    }
}
