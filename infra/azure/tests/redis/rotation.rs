//! Signing in with tokens. The double of Entra ID's check is a user of the server's, whose passwords are tokens.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_azure::redis::{Redis, RedisRelay};
use coder_cache::{RevocationRelay as _, Revocations};
use coder_core::Ambient;
use jiff::SignedDuration;
use redis::aio::MultiplexedConnection;

use super::ambient;
use crate::doubles::redis::Server;

/// The object id of the identity.
const USER: &str = "11111111-2222-3333-4444-555555555555";

/// Gives a new token each time it is asked.
#[derive(Debug)]
struct Tokens {
    ambient: Ambient,
    given: AtomicUsize,
    /// How long each lasts.
    seconds: AtomicI64,
    /// Numbers of those that cannot be had.
    fails: Vec<usize>,
    scopes: Mutex<Vec<String>>,
}

fn token(number: usize) -> String {
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"oid":"{USER}","number":{number}}}"#));
    format!("e30.{claims}.signature")
}

#[async_trait]
impl TokenCredential for Tokens {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let number = self.given.fetch_add(1, Ordering::SeqCst);
        self.scopes.lock().unwrap().extend(scopes.iter().map(ToString::to_string));
        if self.fails.contains(&number) {
            return Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, "not now"));
        }
        let end = self.ambient.now().as_second() + self.seconds.load(Ordering::SeqCst);
        Ok(AccessToken::new(token(number), OffsetDateTime::from_unix_timestamp(end).unwrap()))
    }
}

struct World {
    server: Server,
    admin: MultiplexedConnection,
    tokens: Arc<Tokens>,
    redis: Redis,
    clock: coder_core::ManualClock,
}

impl World {
    async fn start(seconds: i64, fails: Vec<usize>) -> Option<Self> {
        let server = Server::start()?;
        let (ambient, clock) = ambient();
        let (given, scopes) = (AtomicUsize::new(0), Mutex::default());
        let tokens = Tokens { ambient: ambient.clone(), given, seconds: seconds.into(), fails, scopes };
        let tokens = Arc::new(tokens);
        let redis = server.redis_as(Some(tokens.clone()), &ambient);
        Some(Self { admin: server.admin().await, server, tokens, redis, clock })
    }

    /// From now on the server lets in exactly these tokens.
    async fn accept(&mut self, numbers: impl IntoIterator<Item = usize>) {
        let mut rules = vec![USER.to_owned(), "on".to_owned(), "resetpass".to_owned()];
        rules.extend(["allkeys", "allchannels", "allcommands"].map(str::to_owned));
        rules.extend(numbers.into_iter().map(|number| format!(">{}", token(number))));
        redis::cmd("ACL").arg("SETUSER").arg(rules).exec_async(&mut self.admin).await.unwrap();
    }

    /// The ids of the identity's connections.
    async fn connections(&mut self) -> Vec<String> {
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut self.admin).await.unwrap();
        let own = list.lines().filter(|line| line.contains(&format!(" user={USER} ")));
        own.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// How often the server was told `AUTH` on an open connection, and how often it refused.
    async fn signed_in_again(&mut self) -> (usize, usize) {
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut self.admin).await.unwrap();
        let line =
            stats.lines().find(|line| line.starts_with("cmdstat_auth:")).unwrap_or_default().to_owned();
        let number = |name: &str| {
            let part = line.split([':', ',']).find_map(|part| part.strip_prefix(name));
            part.map_or(0, |text| text.parse().unwrap())
        };
        (number("calls="), number("failed_calls="))
    }
}

#[tokio::test]
async fn the_open_connection_signs_in_with_each_new_token() {
    // Each lasts two seconds, and so is replaced after one.
    let Some(mut world) = World::start(2, Vec::new()).await else { return };
    world.accept(0..8).await;
    assert!(world.redis.is_reachable().await);
    let before = world.connections().await;
    assert_eq!(before.len(), 1);

    let rotated = async {
        // The first `AUTH` repeats the sign-in of the connection; two more are rotations.
        while world.signed_in_again().await.0 < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), rotated).await.unwrap();
    assert_eq!(world.signed_in_again().await.1, 0, "none was refused");
    assert_eq!(world.connections().await, before, "it is the same connection");
    assert!(world.redis.is_reachable().await);
    let scopes = world.tokens.scopes.lock().unwrap().clone();
    assert!(scopes.len() >= 3 && scopes.iter().all(|scope| scope == "https://redis.azure.com/.default"));
}

#[tokio::test]
async fn a_connection_that_the_server_ended_signs_in_with_a_new_token() {
    let Some(mut world) = World::start(3_600, Vec::new()).await else { return };
    world.accept(0..2).await;
    assert!(world.redis.is_reachable().await);
    let before = world.connections().await;
    // As when a token ends: the connection is closed, and what was good is good no more.
    while world.tokens.given.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    world.accept(2..8).await;
    redis::cmd("CLIENT").arg(&["KILL", "USER", USER]).exec_async(&mut world.admin).await.unwrap();
    assert!(world.redis.is_reachable().await);
    assert_ne!(world.connections().await, before);
}

#[tokio::test]
async fn who_was_refused_gets_in_once_there_is_a_right() {
    let Some(mut world) = World::start(3_600, Vec::new()).await else { return };
    assert!(!world.redis.is_reachable().await, "there is no such user");
    world.accept(0..8).await;
    assert!(!world.redis.is_reachable().await, "it is left alone for a second");
    world.clock.advance(SignedDuration::from_secs(1));
    assert!(world.redis.is_reachable().await);
}

#[tokio::test]
async fn without_a_token_there_is_no_redis_until_there_is_one() {
    let Some(mut world) = World::start(3_600, vec![0]).await else { return };
    world.accept(0..8).await;
    assert!(!world.redis.is_reachable().await);
    assert!(world.connections().await.is_empty());
    world.clock.advance(SignedDuration::from_secs(1));
    assert!(world.redis.is_reachable().await);
    drop(world.server);
}

#[tokio::test]
async fn a_connection_that_listens_signs_in_again_as_well() {
    let Some(mut world) = World::start(2, Vec::new()).await else { return };
    world.accept(0..20).await;
    let ambient = world.tokens.ambient.clone();
    let mut tasks = tokio::task::JoinSet::new();
    let mut join = |redis: Redis| {
        let (list, outlet) = Revocations::with_outlet(ambient.clone());
        let (list, relay) = (Arc::new(list), RedisRelay::new(redis));
        let joined = list.clone();
        tasks.spawn(async move { relay.join(joined, outlet).await });
        list
    };
    let (there, here) = (join(world.redis.clone()), join(world.server.redis(&ambient)));
    let rotated = async {
        while world.signed_in_again().await.0 < 3 {
            tokio::task::yield_now().await;
        }
        let connections = world.connections().await;
        here.revoke_key("key", ambient.after(900));
        while !there.is_key_revoked("key") {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.connections().await, connections, "it is the same connection");
        assert_eq!(world.signed_in_again().await.1, 0);
    };
    tokio::time::timeout(Duration::from_secs(20), rotated).await.unwrap();
}
