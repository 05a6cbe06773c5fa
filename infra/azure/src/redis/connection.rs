//! The one connection that an instance has for its commands: made when first needed, and made again when lost.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ::redis::aio::{MultiplexedConnection, SendError};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo as _,
    Pipeline, ProtocolVersion, PushInfo, RedisError, RedisResult, ScriptInvocation, TlsCertificates,
};
use azure_core::credentials::TokenCredential;
use coder_core::Ambient;
use tokio::sync::Mutex;

use super::credentials::EntraCredentials;

/// Longest time for a connection to be made: address, TLS, token.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long Redis is left alone after a fault, in milliseconds; meanwhile nobody waits for it.
const PAUSE_MILLISECONDS: i64 = 1_000;

/// Where Redis is, and how much it may cost to ask it.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// `rediss://name.region.redis.azure.net:10000`. Without TLS (`redis://`) only on this machine.
    pub url: String,
    /// Stands before every key and channel, so that several platforms can share one Redis.
    pub namespace: String,
    /// Longest time for an answer. After it the caller goes on without Redis.
    pub patience: Duration,
    /// The authority (PEM) that signed the server's certificate, if it is none of those the machine trusts.
    pub authority: Option<Vec<u8>>,
}

impl RedisOptions {
    /// The usual options: keys under `coder`, 300 ms of patience.
    pub fn new(url: impl Into<String>) -> Self {
        let (namespace, patience) = ("coder".to_owned(), Duration::from_millis(300));
        Self { url: url.into(), namespace, patience, authority: None }
    }
}

/// Why Redis cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not an address.
    #[error("`{url}` is no address of a Redis; write `rediss://name.region.redis.azure.net:10000`")]
    Url {
        /// As it was given.
        url: String,
        /// The library's word.
        source: RedisError,
    },
    /// Tokens and keys would cross the network in the clear.
    #[error("`{0}` is another machine and has no TLS; write `rediss://`")]
    Plain(String),
    /// The authority's certificate.
    #[error("the authority for the certificate of Redis is no PEM certificate")]
    Authority(#[source] RedisError),
}

/// A Redis that is connected when first needed. Clones share the connection.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    client: Client,
    credential: Option<Arc<dyn TokenCredential>>,
    ambient: Ambient,
    namespace: String,
    patience: Duration,
    slot: Arc<Mutex<Slot>>,
    /// Until when Redis is left alone, in milliseconds since 1970; `i64::MIN` while it answers.
    away_until: AtomicI64,
}

/// The connection, and which one it is.
#[derive(Default)]
struct Slot {
    connection: Option<MultiplexedConnection>,
    number: u64,
}

/// What Redis is to do. One round trip each, but for a script that it does not know yet.
#[derive(Clone, Copy)]
pub(super) enum Commands<'a> {
    One(&'a Cmd),
    All(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
}

/// Redis is not to be had now; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away;

impl Redis {
    /// Connects to nothing yet. With a credential the instance signs in as the credential's identity, whose object
    /// id has to have an access policy on the Redis; without one it does not sign in.
    pub fn new(
        options: RedisOptions,
        credential: Option<Arc<dyn TokenCredential>>,
        ambient: Ambient,
    ) -> Result<Self, SetupError> {
        let RedisOptions { url, namespace, patience, authority } = options;
        let info = url.as_str().into_connection_info();
        let info = info.map_err(|source| SetupError::Url { url: without_password(&url), source })?;
        if let ConnectionAddr::Tcp(host, _) = info.addr()
            && !is_this_machine(host)
        {
            return Err(SetupError::Plain(host.clone()));
        }
        // The third protocol lets a connection that listens sign in again and be asked whether it lives.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(settings);
        let client = match authority {
            Some(pem) => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) })
            }
            None => Client::open(info),
        };
        Ok(Self(Arc::new(Shared {
            client: client.map_err(SetupError::Authority)?,
            credential,
            ambient,
            namespace,
            patience,
            slot: Arc::default(),
            away_until: AtomicI64::new(i64::MIN),
        })))
    }

    /// Whether Redis answers now; connects if need be.
    pub async fn is_reachable(&self) -> bool {
        self.run::<String>(Commands::One(&::redis::cmd("PING"))).await.is_ok()
    }

    pub(super) fn key(&self, kind: &str, name: &str) -> String {
        format!("{}:{kind}:{name}", self.0.namespace)
    }

    pub(super) fn ambient(&self) -> &Ambient {
        &self.0.ambient
    }

    pub(super) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// Runs commands within the patience. A connection that turns out to be lost is replaced and the commands run
    /// once more, so they must bear being repeated. Any fault ends the connection, and for a second nobody tries.
    pub(super) async fn run<T: FromRedisValue>(&self, commands: Commands<'_>) -> Result<T, Away> {
        let shared = &self.0;
        if !self.may_try() {
            return Err(Away);
        }
        let both = async {
            match self.once(commands).await {
                Err(error) if error.is_connection_dropped() => self.once(commands).await,
                other => other,
            }
        };
        match tokio::time::timeout(shared.patience, both).await {
            Ok(Ok(answer)) => {
                self.note_back();
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.note_away(&error)),
            Err(_) => {
                // If the slot is locked, a connection is being made, and stays.
                if let Ok(mut slot) = shared.slot.try_lock() {
                    slot.connection = None;
                }
                Err(self.note_away(&"it did not answer in time"))
            }
        }
    }

    async fn once<T: FromRedisValue>(&self, commands: Commands<'_>) -> RedisResult<T> {
        let (mut connection, number) = self.connection().await?;
        let outcome = match commands {
            Commands::One(command) => command.query_async(&mut connection).await,
            Commands::All(commands) => commands.query_async(&mut connection).await,
            Commands::Script(call) => call.invoke_async(&mut connection).await,
        };
        if outcome.is_err() {
            let mut slot = self.0.slot.lock().await;
            // Unless somebody has replaced it already.
            if slot.number == number {
                slot.connection = None;
            }
        }
        outcome
    }

    /// The connection. It is made by a task of its own: who runs out of patience does not undo the work.
    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let mut slot = self.0.slot.clone().lock_owned().await;
        if let Some(connection) = &slot.connection {
            return Ok((connection.clone(), slot.number));
        }
        let this = self.clone();
        let made = tokio::spawn(async move {
            let connection = this.connect(None).await?;
            slot.connection = Some(connection.clone());
            slot.number += 1;
            Ok((connection, slot.number))
        });
        made.await.unwrap_or_else(|_| Err((ErrorKind::Client, "the program is ending").into()))
    }

    /// A connection of one's own; with a sender it hands over what the server sends unasked.
    pub(super) async fn connect(&self, pushes: Option<Pushes>) -> RedisResult<MultiplexedConnection> {
        let shared = &self.0;
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(shared.patience));
        if let Some(credential) = &shared.credential {
            let provider = EntraCredentials::new(credential.clone(), shared.ambient.clone());
            config = config.set_credentials_provider(provider);
        }
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
        }
        // The limit of the library does not cover the token that is fetched before.
        let connecting = shared.client.get_multiplexed_async_connection_with_config(&config);
        tokio::time::timeout(CONNECTING, connecting)
            .await
            .unwrap_or_else(|_| Err((ErrorKind::Io, "no connection in time").into()))
    }

    /// Whether to ask Redis. While it is away one caller a second does; the others do not wait for what comes of it.
    fn may_try(&self) -> bool {
        let (now, away) = (self.0.ambient.now().as_millisecond(), &self.0.away_until);
        let until = away.load(Ordering::Acquire);
        if until == i64::MIN {
            return true;
        }
        // A clock that was set back does not make it longer.
        let paused = (1..=PAUSE_MILLISECONDS).contains(&until.saturating_sub(now));
        let next = now.saturating_add(PAUSE_MILLISECONDS);
        !paused && away.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn note_away(&self, cause: &(dyn fmt::Display + Sync)) -> Away {
        let until = self.0.ambient.now().as_millisecond().saturating_add(PAUSE_MILLISECONDS);
        if self.0.away_until.swap(until, Ordering::AcqRel) == i64::MIN {
            tracing::warn!(%cause, "Redis is away; each instance counts for itself");
        }
        Away
    }

    fn note_back(&self) {
        if self.0.away_until.swap(i64::MIN, Ordering::AcqRel) != i64::MIN {
            tracing::info!("Redis answers again");
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Redis").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}

/// Takes what the server sends unasked, without waiting.
pub(super) type Pushes = Box<dyn Fn(PushInfo) -> Result<(), SendError> + Send + Sync>;

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address as a message may show it.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}
