//! Token buckets give what was earned, to the last unit, and nothing else.

use jiff::SignedDuration;

use super::Subject;
use crate::{Decision, Limit};

const LIMIT: Limit = Limit { per_minute: 60, burst: 10 };

impl Subject {
    async fn take(&self, key: &str, limit: Limit, cost: u32) -> Decision {
        self.limiters[0].take(key, limit, cost).await
    }

    async fn passes(&self, key: &str, cost: u32) -> bool {
        self.take(key, LIMIT, cost).await.allowed
    }
}

pub async fn a_burst_passes_and_then_one_a_second(subject: &Subject) {
    for left in (0..10).rev() {
        let decision = subject.take("a", LIMIT, 1).await;
        assert!(decision.allowed);
        assert_eq!((decision.limit, decision.remaining), (10, left));
    }
    let refused = subject.take("a", LIMIT, 1).await;
    let expected =
        Decision { allowed: false, limit: 10, remaining: 0, reset_seconds: 10, retry_after_seconds: 1 };
    assert_eq!(refused, expected);
    subject.clock.advance(SignedDuration::from_millis(999));
    assert!(!subject.passes("a", 1).await);
    subject.clock.advance(SignedDuration::from_millis(1));
    assert!(subject.passes("a", 1).await);
    assert!(!subject.passes("a", 1).await);
}

pub async fn nothing_is_lost_to_rounding(subject: &Subject) {
    let limit = Limit { per_minute: 7, burst: 7 };
    assert!(subject.take("a", limit, 7).await.allowed);
    let mut taken = 0;
    // Three minutes in steps that never make a whole token.
    for _ in 0..3_000 {
        subject.clock.advance(SignedDuration::from_millis(60));
        taken += u32::from(subject.take("a", limit, 1).await.allowed);
    }
    assert_eq!(taken, 7 * 3);
}

pub async fn keys_do_not_share(subject: &Subject) {
    assert!(subject.passes("a", 10).await);
    assert!(!subject.passes("a", 1).await);
    assert!(subject.passes("b", 10).await);
    assert!(subject.passes("{a}", 10).await);
}

pub async fn a_refusal_takes_nothing_and_waiting_as_told_is_enough(subject: &Subject) {
    assert!(subject.passes("a", 8).await);
    let refused = subject.take("a", LIMIT, 5).await;
    assert_eq!((refused.allowed, refused.remaining, refused.retry_after_seconds), (false, 2, 3));
    assert!(subject.passes("a", 2).await);
    let wait = subject.take("a", LIMIT, 5).await.retry_after_seconds;
    assert_eq!(wait, 5);
    subject.clock.advance(SignedDuration::from_secs(5));
    assert!(subject.passes("a", 5).await);
}

pub async fn a_cost_over_the_burst_needs_a_rested_key(subject: &Subject) {
    let first = subject.take("a", LIMIT, 1_000).await;
    assert_eq!((first.allowed, first.remaining, first.reset_seconds), (true, 0, 10));
    subject.clock.advance(SignedDuration::from_secs(9));
    assert!(!subject.passes("a", 1_000).await);
    subject.clock.advance(SignedDuration::from_secs(1));
    assert!(subject.passes("a", 1_000).await);
}

pub async fn a_cost_of_nothing_only_asks(subject: &Subject) {
    assert_eq!(subject.take("a", LIMIT, 0).await.remaining, 10);
    assert!(subject.passes("a", 10).await);
    assert!(subject.passes("a", 0).await);
}

pub async fn a_lower_limit_holds_at_once(subject: &Subject) {
    assert!(subject.take("a", Limit::per_minute(100), 1).await.allowed);
    let decision = subject.take("a", Limit::per_minute(3), 1).await;
    assert_eq!((decision.limit, decision.remaining), (3, 2));
}

pub async fn extremes_do_not_overflow(subject: &Subject) {
    let most = Limit::per_minute(u32::MAX);
    assert_eq!(subject.take("a", most, u32::MAX).await.reset_seconds, 60);
    subject.clock.advance(SignedDuration::from_hours(24 * 365 * 100));
    assert_eq!(subject.take("a", most, 0).await.remaining, u32::MAX);

    let none = Limit { per_minute: 0, burst: 0 };
    assert!(subject.take("b", none, 1).await.allowed);
    let refused = subject.take("b", none, 1).await;
    assert_eq!((refused.allowed, refused.retry_after_seconds), (false, 60));
}

pub async fn a_clock_that_goes_back_neither_gives_nor_locks_out(subject: &Subject) {
    assert!(subject.passes("a", 10).await);
    subject.clock.advance(SignedDuration::from_hours(-1));
    assert!(!subject.passes("a", 1).await);
    subject.clock.advance(SignedDuration::from_secs(1));
    assert!(subject.passes("a", 1).await);
}

pub async fn two_processes_share_a_bucket(subject: &Subject) {
    let [one, other] = &subject.limiters;
    assert!(one.take("a", LIMIT, 6).await.allowed);
    assert_eq!(other.take("a", LIMIT, 0).await.remaining, 4);
    assert!(!other.take("a", LIMIT, 5).await.allowed);
    assert!(other.take("a", LIMIT, 4).await.allowed);
    assert_eq!(one.take("a", LIMIT, 0).await.remaining, 0);
}

pub async fn parallel_requests_take_exactly_what_there_is(subject: &Subject) {
    let limit = Limit { per_minute: 1, burst: 100 };
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let limiter = subject.limiters[number % 2].clone();
        tasks.spawn(async move {
            let mut taken = 0;
            for _ in 0..20 {
                taken += u32::from(limiter.take("shared", limit, 1).await.allowed);
            }
            taken
        });
    }
    let taken: Vec<u32> = tasks.join_all().await;
    assert_eq!(taken.iter().sum::<u32>(), 100);
}
