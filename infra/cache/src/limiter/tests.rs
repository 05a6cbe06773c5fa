use coder_core::{Ambient, ManualClock, OsEntropy};
use jiff::{SignedDuration, Timestamp};

use super::{Decision, Limit, MemoryLimiter, RateLimiter as _};

fn limiter() -> (MemoryLimiter, ManualClock) {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    (MemoryLimiter::new(Ambient::new(clock.clone(), OsEntropy)), clock)
}

const LIMIT: Limit = Limit { per_minute: 60, burst: 10 };

#[tokio::test]
async fn a_burst_passes_and_then_one_a_second() {
    let (limiter, clock) = limiter();
    for left in (0..10).rev() {
        let decision = limiter.take("a", LIMIT, 1).await;
        assert!(decision.allowed);
        assert_eq!((decision.limit, decision.remaining), (10, left));
    }
    let refused = limiter.take("a", LIMIT, 1).await;
    let expected =
        Decision { allowed: false, limit: 10, remaining: 0, reset_seconds: 10, retry_after_seconds: 1 };
    assert_eq!(refused, expected);
    clock.advance(SignedDuration::from_millis(999));
    assert!(!limiter.take("a", LIMIT, 1).await.allowed);
    clock.advance(SignedDuration::from_millis(1));
    assert!(limiter.take("a", LIMIT, 1).await.allowed);
    assert!(!limiter.take("a", LIMIT, 1).await.allowed);
}

#[tokio::test]
async fn nothing_is_lost_to_rounding() {
    let (limiter, clock) = limiter();
    let limit = Limit { per_minute: 7, burst: 7 };
    assert!(limiter.take("a", limit, 7).await.allowed);
    let mut taken = 0;
    // An hour in steps that never make a whole token.
    for _ in 0..60_000 {
        clock.advance(SignedDuration::from_millis(60));
        taken += u32::from(limiter.take("a", limit, 1).await.allowed);
    }
    assert_eq!(taken, 7 * 60);
}

#[tokio::test]
async fn keys_do_not_share() {
    let (limiter, _) = limiter();
    assert!(limiter.take("a", LIMIT, 10).await.allowed);
    assert!(!limiter.take("a", LIMIT, 1).await.allowed);
    assert!(limiter.take("b", LIMIT, 10).await.allowed);
}

#[tokio::test]
async fn a_refusal_takes_nothing_and_waiting_as_told_is_enough() {
    let (limiter, clock) = limiter();
    assert!(limiter.take("a", LIMIT, 8).await.allowed);
    let refused = limiter.take("a", LIMIT, 5).await;
    assert_eq!((refused.allowed, refused.remaining, refused.retry_after_seconds), (false, 2, 3));
    assert!(limiter.take("a", LIMIT, 2).await.allowed);
    let wait = limiter.take("a", LIMIT, 5).await.retry_after_seconds;
    assert_eq!(wait, 5);
    clock.advance(SignedDuration::from_secs(5));
    assert!(limiter.take("a", LIMIT, 5).await.allowed);
}

#[tokio::test]
async fn a_cost_over_the_burst_needs_a_rested_key() {
    let (limiter, clock) = limiter();
    let first = limiter.take("a", LIMIT, 1_000).await;
    assert_eq!((first.allowed, first.remaining, first.reset_seconds), (true, 0, 10));
    clock.advance(SignedDuration::from_secs(9));
    assert!(!limiter.take("a", LIMIT, 1_000).await.allowed);
    clock.advance(SignedDuration::from_secs(1));
    assert!(limiter.take("a", LIMIT, 1_000).await.allowed);
}

#[tokio::test]
async fn a_cost_of_nothing_only_asks() {
    let (limiter, _) = limiter();
    assert_eq!(limiter.take("a", LIMIT, 0).await.remaining, 10);
    assert!(limiter.take("a", LIMIT, 10).await.allowed);
    assert!(limiter.take("a", LIMIT, 0).await.allowed);
}

#[tokio::test]
async fn a_lower_limit_holds_at_once() {
    let (limiter, _) = limiter();
    assert!(limiter.take("a", Limit::per_minute(100), 1).await.allowed);
    let decision = limiter.take("a", Limit::per_minute(3), 1).await;
    assert_eq!((decision.limit, decision.remaining), (3, 2));
}

#[tokio::test]
async fn extremes_do_not_overflow() {
    let (limiter, clock) = limiter();
    let most = Limit::per_minute(u32::MAX);
    assert_eq!(limiter.take("a", most, u32::MAX).await.reset_seconds, 60);
    clock.advance(SignedDuration::from_hours(24 * 365 * 100));
    assert_eq!(limiter.take("a", most, 0).await.remaining, u32::MAX);

    let none = Limit { per_minute: 0, burst: 0 };
    assert!(limiter.take("b", none, 1).await.allowed);
    let refused = limiter.take("b", none, 1).await;
    assert_eq!((refused.allowed, refused.retry_after_seconds), (false, 60));
}

#[tokio::test]
async fn a_clock_that_goes_back_neither_gives_nor_locks_out() {
    let (limiter, clock) = limiter();
    assert!(limiter.take("a", LIMIT, 10).await.allowed);
    clock.advance(SignedDuration::from_hours(-1));
    assert!(!limiter.take("a", LIMIT, 1).await.allowed);
    clock.advance(SignedDuration::from_secs(1));
    assert!(limiter.take("a", LIMIT, 1).await.allowed);
}

#[tokio::test]
async fn the_number_of_keys_is_bounded_and_those_in_use_stay_longest() {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let limiter = MemoryLimiter::with_shards(Ambient::new(clock.clone(), OsEntropy), 1, 3);
    let size = || limiter.shards[0].lock().unwrap().len();
    limiter.take("exhausted", LIMIT, 10).await;
    limiter.take("resting", LIMIT, 2).await;
    limiter.take("half", LIMIT, 5).await;
    // Nobody is rested: the one nearest to it goes.
    limiter.take("new", LIMIT, 6).await;
    assert_eq!(size(), 3);
    assert_eq!(limiter.take("half", LIMIT, 0).await.remaining, 5);
    // Five seconds later `half` is rested, and loses nothing when it goes.
    clock.advance(SignedDuration::from_secs(5));
    limiter.take("newer", LIMIT, 9).await;
    assert_eq!(size(), 3);
    assert_eq!(limiter.take("exhausted", LIMIT, 0).await.remaining, 5);
    // All are rested after a while, and go together.
    clock.advance(SignedDuration::from_mins(1));
    limiter.take("newest", LIMIT, 1).await;
    assert_eq!(size(), 1);
}
