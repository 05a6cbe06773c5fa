//! Redis goes away, comes back, hangs, forgets, and answers nonsense.

use std::sync::Arc;
use std::time::Duration;

use coder_azure::redis::{Redis, RedisCache, RedisLimiter, RedisOptions, RedisRelay};
use coder_cache::{Cache as _, Limit, RateLimiter as _, RevocationRelay as _, Revocations};
use coder_core::SessionId;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{ambient, limiter};
use crate::doubles::redis::Server;

const LIMIT: Limit = Limit { per_minute: 60, burst: 10 };

#[tokio::test]
async fn each_counts_alone_while_redis_is_away_and_together_again_after() {
    let Some(mut server) = Server::start() else { return };
    let (ambient, clock) = ambient();
    let [one, other] = [server.redis(&ambient), server.redis(&ambient)];
    let [one, other] = [limiter(&one, &ambient), limiter(&other, &ambient)];
    assert_eq!(one.take("a", LIMIT, 3).await.remaining, 7);
    assert_eq!(other.take("a", LIMIT, 3).await.remaining, 4);

    server.kill();
    assert_eq!(one.take("a", LIMIT, 1).await.remaining, 9, "a bucket of its own");
    assert!(one.take("a", LIMIT, 9).await.allowed);
    assert!(!one.take("a", LIMIT, 1).await.allowed, "a limit it is still");
    assert_eq!(other.take("a", LIMIT, 5).await.remaining, 5, "and the other's is another");

    server.restart();
    assert!(!one.take("a", LIMIT, 1).await.allowed, "it is left alone for a second");
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(one.take("a", LIMIT, 2).await.remaining, 8);
    assert_eq!(other.take("a", LIMIT, 2).await.remaining, 6, "together again");
}

#[tokio::test]
async fn a_lost_connection_is_replaced_without_anybody_noticing() {
    let Some(server) = Server::start() else { return };
    let (ambient, _) = ambient();
    let limiter = limiter(&server.redis(&ambient), &ambient);
    assert_eq!(limiter.take("a", LIMIT, 3).await.remaining, 7);
    let mut admin = server.admin().await;
    let closed: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query_async(&mut admin)
        .await
        .unwrap();
    assert_eq!(closed, 1);
    assert_eq!(limiter.take("a", LIMIT, 3).await.remaining, 4);
}

#[tokio::test]
async fn cached_bytes_are_not_found_while_redis_is_away() {
    let Some(mut server) = Server::start() else { return };
    let (ambient, clock) = ambient();
    let cache = RedisCache::new(server.redis(&ambient));
    cache.put("a", (*b"1").into(), Duration::from_mins(1)).await;
    server.kill();
    assert!(cache.get("a").await.is_none());
    cache.put("b", (*b"2").into(), Duration::from_mins(1)).await;
    cache.remove("a").await;
    server.restart();
    clock.advance(SignedDuration::from_secs(1));
    assert!(cache.get("a").await.is_none());
    cache.put("b", (*b"3").into(), Duration::from_mins(1)).await;
    assert_eq!(cache.get("b").await.as_deref(), Some(&b"3"[..]));
}

/// Something accepts and says nothing: one caller waits as long as it has patience, the others not at all. The
/// clock of the test moves when all of them wait.
#[tokio::test(start_paused = true)]
async fn of_all_callers_one_a_second_waits_for_a_redis_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (ambient, clock) = ambient();
    let patience = Duration::from_millis(50);
    let options = RedisOptions { patience, ..RedisOptions::new(url) };
    let limiter = RedisLimiter::new(Redis::new(options, None, ambient.clone()).unwrap());
    let take = async || {
        let started = tokio::time::Instant::now();
        (limiter.take("a", LIMIT, 1).await.remaining, started.elapsed() >= patience)
    };
    assert_eq!(take().await, (9, true));
    assert_eq!(take().await, (8, false));
    clock.advance(SignedDuration::from_secs(1));
    let taken = futures_util::future::join_all((0..8).map(|_| take())).await;
    assert_eq!(taken.iter().filter(|(_, waited)| *waited).count(), 1, "{taken:?}");
    // A second gave one token back.
    assert_eq!(limiter.take("a", LIMIT, 0).await.remaining, 1);
    // Set back by an hour, the clock does not make the pause an hour long.
    clock.advance(SignedDuration::from_hours(-1));
    assert!(take().await.1);
}

#[tokio::test]
async fn a_revocation_made_while_redis_was_away_is_told_when_it_is_back() {
    let Some(mut server) = Server::start() else { return };
    let (ambient, clock) = ambient();
    let mut tasks = JoinSet::new();
    let [here, there] = [0, 1].map(|_| {
        let (list, outlet) = Revocations::with_outlet(ambient.clone());
        let (list, relay) = (Arc::new(list), RedisRelay::new(server.redis(&ambient)));
        let joined = list.clone();
        tasks.spawn(async move { relay.join(joined, outlet).await });
        list
    });
    let (first, second): (SessionId, SessionId) = (ambient.new_id(), ambient.new_id());
    let until = ambient.after(900);
    let knows = |list: &Revocations, session| list.is_revoked(session, ambient.new_id(), None, ambient.now());
    here.revoke_session(first, until);
    eventually(|| knows(&there, first)).await;

    server.kill();
    here.revoke_session(second, until);
    assert!(!knows(&there, second));
    // What was known stays known.
    assert!(knows(&there, first));
    server.restart();
    clock.advance(SignedDuration::from_secs(2));
    eventually(|| knows(&there, second)).await;
    assert_eq!(there.fresh_at(), None, "only the store's list says how fresh it is");
}

async fn eventually(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

#[tokio::test]
async fn a_server_that_forgot_the_script_is_told_it_again() {
    let Some(server) = Server::start() else { return };
    let (ambient, _) = ambient();
    let limiter = limiter(&server.redis(&ambient), &ambient);
    assert_eq!(limiter.take("a", LIMIT, 3).await.remaining, 7);
    let mut admin = server.admin().await;
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut admin).await.unwrap();
    assert_eq!(limiter.take("a", LIMIT, 3).await.remaining, 4);
}

#[tokio::test]
async fn what_others_wrote_is_taken_for_nothing() {
    let Some(server) = Server::start() else { return };
    let (ambient, clock) = ambient();
    let redis = server.redis(&ambient);
    let mut admin = server.admin().await;
    for key in ["coder:limit:a", "coder:cache:a"] {
        redis::cmd("SET").arg(&[key, "short"]).exec_async(&mut admin).await.unwrap();
    }
    assert!(RedisCache::new(redis.clone()).get("a").await.is_none());
    let limiter = limiter(&redis, &ambient);
    assert_eq!(limiter.take("a", LIMIT, 3).await.remaining, 7, "alone");
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(limiter.take("b", LIMIT, 3).await.remaining, 7);
    let kept: bool = redis::cmd("EXISTS").arg("coder:limit:b").query_async(&mut admin).await.unwrap();
    assert!(kept, "others are counted together");
}
