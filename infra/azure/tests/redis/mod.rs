//! The Redis providers on a real server.

mod faults;
mod rotation;
mod tls;

use std::sync::Arc;

use coder_azure::redis::{Redis, RedisCache, RedisLimiter, RedisOptions, RedisRelay, SetupError};
use coder_cache::contract::{self, Subject};
use coder_cache::{Limit, MemoryLimiter, RateLimiter as _};
use coder_core::{Ambient, ManualClock, OsEntropy};

use crate::doubles::redis::Server;

fn ambient() -> (Ambient, ManualClock) {
    let clock = ManualClock::at(contract::start());
    (Ambient::new(clock.clone(), OsEntropy), clock)
}

async fn subject() -> Option<Subject> {
    let server = Server::start()?;
    let (ambient, clock) = ambient();
    let [one, other] = [server.redis(&ambient), server.redis(&ambient)];
    assert!(one.is_reachable().await && other.is_reachable().await);
    Some(Subject {
        cache: Arc::new(RedisCache::new(one.clone())),
        limiters: [&one, &other].map(|redis| limiter(redis, &ambient) as _),
        relays: [Arc::new(RedisRelay::new(one)), Arc::new(RedisRelay::new(other))],
        clock,
        ambient,
        keep: Box::new(server),
    })
}

fn limiter(redis: &Redis, ambient: &Ambient) -> Arc<RedisLimiter> {
    Arc::new(RedisLimiter::new(redis.clone()).on_clock(ambient.clone()))
}

coder_cache::contract_tests!(crate::redis::subject);

/// The clock is the server's, and it moves by itself.
#[tokio::test]
async fn the_servers_clock_gives_back_what_was_taken_and_not_more() {
    let Some(server) = Server::start() else { return };
    let (ambient, clock) = ambient();
    let limiter = RedisLimiter::new(server.redis(&ambient));
    let limit = Limit { per_minute: 600, burst: 5 };
    let started = std::time::Instant::now();
    let mut taken = 0;
    while limiter.take("a", limit, 1).await.allowed {
        taken += 1;
        assert!(taken < 1_000);
    }
    // The instance's own clock has no say.
    clock.advance(jiff::SignedDuration::from_hours(1));
    while !limiter.take("a", limit, 1).await.allowed {
        assert!(started.elapsed().as_secs() < 60);
    }
    let most = 5 + started.elapsed().as_millis() / 100 + 1;
    assert!((5..=most).contains(&(taken + 1)), "{taken} of {most}");
}

/// Whatever is asked in whatever order, Redis decides as the memory of one process does.
#[tokio::test]
async fn decides_as_the_limiter_in_memory() {
    let Some(server) = Server::start() else { return };
    let (ambient, clock) = ambient();
    let shared = limiter(&server.redis(&ambient), &ambient);
    let alone = MemoryLimiter::new(ambient.clone());
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |most: u64| {
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % most
    };
    for step in 0..3_000 {
        let key = ["a", "b", "c"][usize::try_from(below(3)).unwrap()];
        let mut size =
            || u32::try_from(1 + below([5, 100, 1 << 32][usize::try_from(step % 3).unwrap()] - 1)).unwrap();
        let (limit, cost) = (Limit { per_minute: size(), burst: size() }, size() / 2);
        assert_eq!(shared.take(key, limit, cost).await, alone.take(key, limit, cost).await, "{step}");
        // Never so far that Redis, whose own clock ends what is rested, could have forgotten what memory still has.
        clock.advance(jiff::SignedDuration::from_millis(i64::try_from(below(2_000)).unwrap() - 100));
    }
}

/// Buckets of keys that nobody uses go away by themselves; the set of revocations keeps what matters only.
#[tokio::test]
async fn nothing_stays_for_ever() {
    let Some(server) = Server::start() else { return };
    let (ambient, _) = ambient();
    let redis = server.redis(&ambient);
    RedisLimiter::new(redis.clone()).take("a", Limit::per_minute(60), 30).await;
    coder_cache::Cache::put(&RedisCache::new(redis), "b", (*b"x").into(), std::time::Duration::MAX).await;
    let mut admin = server.admin().await;
    for (key, least, most) in [("coder:limit:a", 85_000, 91_000), ("coder:cache:b", 86_400_000, i64::MAX)] {
        let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut admin).await.unwrap();
        assert!((least..=most).contains(&left), "{key}: {left}");
    }
}

#[test]
fn a_redis_elsewhere_needs_tls() {
    let setup = |url: &str| Redis::new(RedisOptions::new(url), None, Ambient::system()).map(drop);
    for url in ["rediss://name.region.redis.azure.net:10000", "redis://127.0.0.1:6379", "redis://localhost"] {
        setup(url).unwrap();
    }
    for url in
        ["redis://name.region.redis.azure.net:10000", "redis://10.0.0.4", "redis://localhost.example.com"]
    {
        assert!(matches!(setup(url), Err(SetupError::Plain(_))), "{url}");
    }
    for url in ["", "name.region.redis.azure.net:10000", "https://user:hidden@name.redis.azure.net"] {
        let Err(error @ SetupError::Url { .. }) = setup(url) else { panic!("`{url}` was taken") };
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let options =
        RedisOptions { authority: Some(b"none".to_vec()), ..RedisOptions::new("redis://localhost") };
    assert!(matches!(Redis::new(options, None, Ambient::system()), Err(SetupError::Authority(_))));
}
