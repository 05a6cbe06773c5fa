use coder_core::{Ambient, ManualClock, OsEntropy};
use jiff::{SignedDuration, Timestamp};

use super::{Limit, MemoryLimiter, RateLimiter as _};

const LIMIT: Limit = Limit { per_minute: 60, burst: 10 };

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
