//! The circuit breaker of one group: a group that keeps failing is left alone for a while, then tried with a
//! single request. The numbers are those of the backends in API Management.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coder_core::{Ambient, Timestamp};

/// So many failures …
const FAILURES: usize = 5;
/// … within this time open the circuit …
const WINDOW: Duration = Duration::from_mins(1);
/// … for this long.
const OPEN_FOR: Duration = Duration::from_secs(30);
/// What a caller is told to wait while the probe is under way, in seconds.
const PROBE_RETRY: u64 = 1;

/// What a circuit does with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Lets it pass.
    Closed,
    /// Lets it pass if no other probe is under way, and decides by its outcome.
    HalfOpen,
    /// Refuses it.
    Open,
}

#[derive(Debug)]
enum State {
    Closed { failures: VecDeque<Timestamp> },
    Open { until: Timestamp },
    Probing,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    ambient: Ambient,
    state: Mutex<State>,
}

/// Leave to make one call. Dropped without a verdict (the caller went away), it counts for nothing.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

/// The circuit is open; how many seconds until a retry makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) retry_after_seconds: u64,
}

impl Breaker {
    pub(crate) fn new(ambient: Ambient) -> Self {
        Self { ambient, state: Mutex::new(State::closed()) }
    }

    pub(crate) fn admit(&self) -> Result<Permit<'_>, Refused> {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Ok(Permit { breaker: self, probe: false }),
            State::Probing => Err(Refused { retry_after_seconds: PROBE_RETRY }),
            State::Open { until } => {
                let left = until.duration_since(self.ambient.now()).as_millis();
                if left > 0 {
                    let seconds = u64::try_from(left).unwrap_or(0).div_ceil(1000);
                    return Err(Refused { retry_after_seconds: seconds });
                }
                *state = State::Probing;
                Ok(Permit { breaker: self, probe: true })
            }
        }
    }

    pub(crate) fn state(&self) -> CircuitState {
        match *self.lock() {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { until } if until > self.ambient.now() => CircuitState::Open,
            State::Open { .. } | State::Probing => CircuitState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave a half-written state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The group answered.
    pub(crate) fn succeeded(mut self) {
        if self.probe {
            self.probe = false;
            *self.breaker.lock() = State::closed();
        }
    }

    /// The group could not be reached, broke off, or did not answer in time.
    pub(crate) fn failed(mut self) {
        let now = self.breaker.ambient.now();
        let mut state = self.breaker.lock();
        let open = match &mut *state {
            State::Closed { failures } => {
                failures.push_back(now);
                while failures.front().is_some_and(|first| seconds_between(*first, now) >= WINDOW.as_secs()) {
                    failures.pop_front();
                }
                failures.len() >= FAILURES
            }
            // A late failure of a call from before the circuit opened tells nothing new.
            State::Open { .. } => false,
            State::Probing => self.probe,
        };
        if open {
            *state = State::open_from(now);
        }
        self.probe = false;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            // The next request is the probe.
            *self.breaker.lock() = State::Open { until: self.breaker.ambient.now() };
        }
    }
}

impl State {
    const fn closed() -> Self {
        Self::Closed { failures: VecDeque::new() }
    }

    fn open_from(now: Timestamp) -> Self {
        Self::Open { until: now.saturating_add(OPEN_FOR).unwrap_or(Timestamp::MAX) }
    }
}

fn seconds_between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.duration_since(earlier).as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_core::{ManualClock, OsEntropy};
    use jiff::SignedDuration;

    fn breaker() -> (Breaker, ManualClock) {
        let clock = ManualClock::at("2026-01-31T09:30:00Z".parse().unwrap());
        (Breaker::new(Ambient::new(clock.clone(), OsEntropy)), clock)
    }

    fn fail(breaker: &Breaker, times: usize) {
        for _ in 0..times {
            breaker.admit().unwrap().failed();
        }
    }

    fn opened() -> (Breaker, ManualClock) {
        let (breaker, clock) = breaker();
        fail(&breaker, FAILURES);
        (breaker, clock)
    }

    #[test]
    fn opens_at_the_fifth_failure_and_says_how_long() {
        let (breaker, clock) = breaker();
        fail(&breaker, FAILURES - 1);
        breaker.admit().unwrap().succeeded();
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.admit().unwrap_err(), Refused { retry_after_seconds: 30 });
        clock.advance(SignedDuration::from_millis(29_001));
        assert_eq!(breaker.admit().unwrap_err(), Refused { retry_after_seconds: 1 });
    }

    #[test]
    fn failures_older_than_the_window_do_not_count() {
        let (breaker, clock) = breaker();
        fail(&breaker, FAILURES - 1);
        clock.advance(SignedDuration::from_secs(60));
        fail(&breaker, FAILURES - 1);
        assert_eq!(breaker.state(), CircuitState::Closed);
        clock.advance(SignedDuration::from_secs(59));
        fail(&breaker, 1);
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[test]
    fn one_probe_decides() {
        let (breaker, clock) = opened();
        clock.advance(SignedDuration::from_secs(30));
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        let probe = breaker.admit().unwrap();
        assert_eq!(breaker.admit().unwrap_err(), Refused { retry_after_seconds: PROBE_RETRY });
        probe.succeeded();
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker, FAILURES - 1);
        assert_eq!(breaker.state(), CircuitState::Closed, "old failures are forgotten");
    }

    #[test]
    fn a_failed_probe_opens_again() {
        let (breaker, clock) = opened();
        clock.advance(SignedDuration::from_secs(30));
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.admit().unwrap_err(), Refused { retry_after_seconds: 30 });
    }

    #[test]
    fn an_abandoned_probe_makes_room_for_the_next() {
        let (breaker, clock) = opened();
        clock.advance(SignedDuration::from_secs(30));
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        breaker.admit().unwrap().succeeded();
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[test]
    fn late_failures_neither_lengthen_nor_decide() {
        let (breaker, clock) = breaker();
        let late = [breaker.admit().unwrap(), breaker.admit().unwrap()];
        fail(&breaker, FAILURES);
        clock.advance(SignedDuration::from_secs(10));
        let [first, second] = late;
        first.failed();
        assert_eq!(breaker.admit().unwrap_err(), Refused { retry_after_seconds: 20 });
        clock.advance(SignedDuration::from_secs(20));
        let probe = breaker.admit().unwrap();
        second.failed();
        probe.succeeded();
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}
