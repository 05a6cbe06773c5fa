//! Revocations by publish and subscribe, and a set of those that still matter for whoever comes later.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::{MultiplexedConnection, SendError};
use ::redis::{AsyncCommands as _, PushInfo, PushKind, RedisResult, Value};
use async_trait::async_trait;
use coder_cache::{Outlet, Revocation, RevocationRelay, Revocations};
use tokio::sync::mpsc;

use super::Redis;
use super::connection::{Away, Commands, Pushes};

/// How long to wait before trying again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a connection that listens is asked whether it lives; also keeps it from being closed as idle.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Messages that may wait to be heard; with more the listener begins anew from the set.
const LAG: usize = 1_024;

/// Revocations read at a time.
const PAGE: isize = 500;

/// Carries revocations between all instances that share a Redis. Has a connection of its own for listening.
#[derive(Debug, Clone)]
pub struct RedisRelay(Redis);

#[async_trait]
impl RevocationRelay for RedisRelay {
    async fn join(&self, list: Arc<Revocations>, mut outlet: Outlet) {
        let announcing = async {
            while let Some(revocation) = outlet.next().await {
                self.announce(&revocation).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::join!(announcing, self.listen(&list));
    }
}

impl RedisRelay {
    /// A relay over this Redis.
    pub fn new(redis: Redis) -> Self {
        Self(redis)
    }

    /// The name of the set and of the channel.
    fn name(&self) -> String {
        self.0.key("revocations", "all")
    }

    /// Tells all, for as long as it takes or the revocation matters. What comes after waits in the outlet.
    async fn announce(&self, revocation: &Revocation) {
        while self.0.ambient().now() < revocation.until {
            match self.try_announce(revocation).await {
                Ok(()) => return,
                Err(Away) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn try_announce(&self, revocation: &Revocation) -> Result<(), Away> {
        let (name, now) = (self.name(), self.0.ambient().now().as_millisecond());
        let Ok(text) = serde_json::to_string(revocation) else { return Ok(()) };
        let mut pipe = ::redis::pipe();
        pipe.atomic()
            .zadd(&name, &text, revocation.until.as_millisecond())
            .zrembyscore(&name, "-inf", now)
            .publish(&name, &text);
        self.0.run(Commands::All(&pipe)).await
    }

    async fn listen(&self, list: &Revocations) -> Infallible {
        let mut known = false;
        loop {
            let Err(cause) = self.listen_once(list, &mut known).await;
            if std::mem::take(&mut known) {
                tracing::warn!(%cause, "revocations are not heard at once now; they are read from the store");
            } else {
                tracing::debug!(%cause, "revocations are not heard yet");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Listens until the connection fails. Subscribes first and reads the set then: what is announced in between
    /// is heard twice, which changes nothing.
    async fn listen_once(&self, list: &Revocations, known: &mut bool) -> RedisResult<Infallible> {
        let gone = || ::redis::RedisError::from((::redis::ErrorKind::Io, "the connection is lost"));
        let (sender, mut pushes) = mpsc::channel(LAG);
        let mut connection = self.0.connect(Some(pushes_into(sender))).await?;
        connection.subscribe(self.name()).await?;
        self.catch_up(&mut connection, list).await?;
        *known = true;
        tracing::debug!("revocations are heard at once");
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            tokio::select! {
                push = pushes.recv() => match push {
                    Some(PushInfo { kind: PushKind::Message, data }) => {
                        if let Some(Value::BulkString(text)) = data.get(1) {
                            hear(list, text);
                        }
                    }
                    None | Some(PushInfo { kind: PushKind::Disconnection, .. }) => return Err(gone()),
                    Some(_) => {}
                },
                _ = heartbeat.tick() => {
                    let ping = ::redis::cmd("PING");
                    let answer = ping.exec_async(&mut connection);
                    tokio::time::timeout(self.0.patience(), answer).await.unwrap_or_else(|_| Err(gone()))?;
                }
            }
        }
    }

    /// Hears all that still matters, those first that matter longest: what ends meanwhile leaves at the other end,
    /// so that no page skips any.
    async fn catch_up(&self, connection: &mut MultiplexedConnection, list: &Revocations) -> RedisResult<()> {
        let (name, now) = (self.name(), self.0.ambient().now().as_millisecond());
        let mut offset = 0;
        loop {
            let least = format!("({now}");
            let page: Vec<Vec<u8>> =
                connection.zrevrangebyscore_limit(&name, "+inf", least, offset, PAGE).await?;
            for text in &page {
                hear(list, text);
            }
            if page.is_empty() {
                return Ok(());
            }
            offset += PAGE;
        }
    }
}

fn hear(list: &Revocations, text: &[u8]) {
    match serde_json::from_slice::<Revocation>(text) {
        Ok(revocation) => list.hear(revocation),
        // From a newer version of the platform, perhaps; the store's list tells it in words that are understood.
        Err(cause) => tracing::warn!(%cause, "a revocation was heard but not understood"),
    }
}

/// A sender that ends the listening when nobody keeps up, since nothing may be skipped in silence.
fn pushes_into(sender: mpsc::Sender<PushInfo>) -> Pushes {
    let sender = Mutex::new(Some(sender));
    Box::new(move |push| {
        let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sender.as_ref().is_some_and(|open| open.try_send(push).is_ok());
        if !sent {
            *sender = None;
        }
        sent.then_some(()).ok_or(SendError)
    })
}

#[cfg(test)]
mod tests {
    use ::redis::{PushInfo, PushKind};
    use tokio::sync::mpsc;

    use super::pushes_into;

    #[tokio::test]
    async fn a_listener_that_lags_is_told_so_and_hears_nothing_after_the_gap() {
        let push = || PushInfo { kind: PushKind::Message, data: Vec::new() };
        let (sender, mut receiver) = mpsc::channel(2);
        let pushes = pushes_into(sender);
        assert!(pushes(push()).is_ok() && pushes(push()).is_ok());
        assert!(pushes(push()).is_err());
        assert!(receiver.recv().await.is_some());
        assert!(pushes(push()).is_err(), "there is room, but one is missing");
        assert!(receiver.recv().await.is_some());
        assert!(receiver.recv().await.is_none());
    }
}
