//! A message broker in the file `queue.db`, with the semantics of Service Bus: a topic with subscriptions and a
//! queue of jobs, locks with an end, dead letters, schedules, sessions, a window for duplicates.

mod counts;
mod dead;
mod publish;
mod receive;
mod schema;
mod settle;
mod shared;
mod source;

use std::path::Path;

use async_trait::async_trait;
use coder_core::{Ambient, Timestamp};
use coder_database::StoreError;
use coder_queue::message::property;
use coder_queue::publisher::check;
use coder_queue::{Entity, Message, PublishError, Publisher};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub use coder_queue::Limits;
pub use counts::Counts;
pub use dead::Reason;
pub use receive::{Delivery, Lock};
pub use settle::SettleError;
pub use source::{Source, Subscription};

use crate::database::Database;
use crate::error::from_sqlite;
use crate::open::{OpenError, Options};
use settle::Settlement;
use shared::milliseconds;

/// Rows that one step of a sweep, or what one call moves to the dead letters, touches.
const SLICE: usize = 500;

/// Messages in the file `queue.db` of a data directory. Several processes can share it. Dropping the broker
/// finishes the writes that it accepted and closes the file.
#[derive(Debug)]
pub struct SqliteBroker {
    database: Database,
    ambient: Ambient,
    changed: Notify,
}

impl SqliteBroker {
    /// Opens or makes the broker in a directory, which is made if it is missing. Blocks, at most for the lock
    /// time-out when another process holds the file.
    pub fn open(directory: &Path, options: &Options, ambient: Ambient) -> Result<Self, OpenError> {
        let database = Database::open(directory, "queue", options, schema::create)?;
        Ok(Self { database, ambient, changed: Notify::new() })
    }

    /// Makes subscriptions, or changes those that exist; what waits in one stays.
    pub async fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), StoreError> {
        let subscriptions = subscriptions.to_vec();
        let write = move |connection: &rusqlite::Connection| {
            let sql = "INSERT INTO subscriptions(name, patterns, lock, deliveries, ttl, sessions)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                       ON CONFLICT(name) DO UPDATE SET patterns = excluded.patterns, lock = excluded.lock,
                         deliveries = excluded.deliveries, ttl = excluded.ttl, sessions = excluded.sessions";
            let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
            for one in &subscriptions {
                let (limits, patterns) = (one.limits, one.patterns.join("\n"));
                let (lock, ttl) = (milliseconds(limits.lock), milliseconds(limits.ttl));
                let row = (&one.group, patterns, lock, limits.deliveries, ttl, one.sessions);
                statement.execute(row).map_err(from_sqlite)?;
            }
            Ok(())
        };
        self.database.write(write).await
    }

    /// Which of the sources have something to receive now. Cheap: it takes no lock.
    pub async fn ready(&self, sources: &[Source]) -> Result<Vec<Source>, StoreError> {
        let paths: Vec<String> = sources.iter().map(ToString::to_string).collect();
        let (paths, now) = (serde_json::Value::from(paths).to_string(), self.now());
        let found = self.database.read(move |connection| receive::ready(connection, &paths, now)).await?;
        Ok(found.into_iter().filter_map(|index| sources.get(index).cloned()).collect())
    }

    /// Locks what can be received, in the order of publishing, at most so many.
    pub async fn receive(&self, source: &Source, count: usize) -> Result<Vec<Delivery>, StoreError> {
        let (source, ambient) = (source.clone(), self.ambient.clone());
        self.database.write(move |connection| receive::receive(connection, &source, count, &ambient)).await
    }

    /// The message is done with.
    pub async fn complete(&self, lock: &Lock) -> Result<(), SettleError> {
        self.settle(lock, Settlement::Complete).await.map(drop)
    }

    /// The message is delivered again, not before `not_before`, which is five minutes away at most; after its last
    /// delivery it is a dead letter.
    pub async fn abandon(&self, lock: &Lock, not_before: Option<Timestamp>) -> Result<(), SettleError> {
        self.settle(lock, Settlement::Abandon(not_before)).await.map(drop)
    }

    /// The message is given back untried; the delivery is not counted.
    pub async fn release(&self, lock: &Lock) -> Result<(), SettleError> {
        self.settle(lock, Settlement::Release).await.map(drop)
    }

    /// The message becomes a dead letter.
    pub async fn dead_letter(&self, lock: &Lock, reason: Reason) -> Result<(), SettleError> {
        self.settle(lock, Settlement::Bury(reason)).await.map(drop)
    }

    /// The lock begins anew; answers when it ends.
    pub async fn renew(&self, lock: &Lock) -> Result<Timestamp, SettleError> {
        self.settle(lock, Settlement::Renew).await
    }

    /// What waits, by source without its dead letters, which are counted with it.
    pub async fn counts(&self) -> Result<std::collections::BTreeMap<Source, Counts>, StoreError> {
        let now = self.now();
        self.database.read(move |connection| counts::counts(connection, now)).await
    }

    /// Ends once something has changed after this call that this process did; what other processes did is found
    /// by asking.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Moves what has expired to the dead letters and forgets old ids. Call it every minute or so.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        loop {
            let now = self.now();
            let slice = self.database.write(move |connection| {
                let sql = "DELETE FROM seen WHERE (entity, id) IN
                           (SELECT entity, id FROM seen WHERE until <= ?1 ORDER BY until LIMIT ?2)";
                let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
                let limit = i64::try_from(SLICE).unwrap_or(i64::MAX);
                let forgotten = statement.execute((now, limit)).map_err(from_sqlite)?;
                Ok(forgotten.max(dead::bury_expired(connection, now, SLICE)?))
            });
            if slice.await? < SLICE {
                self.changed.notify_waiters();
                return Ok(());
            }
        }
    }

    async fn settle(&self, lock: &Lock, settlement: Settlement) -> Result<Timestamp, SettleError> {
        let (lock, ambient) = (lock.clone(), self.ambient.clone());
        let settled =
            self.database.write(move |connection| settle::settle(connection, &lock, &settlement, &ambient));
        let until = settled.await?.ok_or(SettleError::LockLost)?;
        // A session goes on, a message comes again, or it is a dead letter.
        self.changed.notify_waiters();
        Ok(until)
    }

    fn now(&self) -> i64 {
        self.ambient.now().as_millisecond()
    }
}

#[async_trait]
impl Publisher for SqliteBroker {
    async fn publish(&self, messages: &[Message]) -> Result<(), PublishError> {
        check(messages)?;
        let nameless = |message: &Message| {
            message.entity == Entity::Jobs && message.text(property::TARGET).is_none_or(str::is_empty)
        };
        if let Some(index) = messages.iter().position(nameless) {
            let reason = format!("a job without the property `{}`", property::TARGET);
            return Err(PublishError::Permanent { index, reason });
        }
        let (messages, ambient) = (messages.to_vec(), self.ambient.clone());
        // The time is taken when the write has its turn, so that it grows with the sequence numbers.
        let written = self
            .database
            .write(move |connection| publish::publish(connection, &messages, ambient.now().as_millisecond()));
        match written.await {
            Ok(_) => {
                self.changed.notify_waiters();
                Ok(())
            }
            Err(StoreError::Throttled { retry_after }) => Err(PublishError::Transient {
                reason: "the message file is busy".into(),
                retry_after: Some(retry_after),
            }),
            Err(error) => Err(PublishError::transient(error.to_string())),
        }
    }
}
