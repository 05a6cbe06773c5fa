//! Taking messages: duplicates are dropped, a topic's message is copied to each subscription that asks for it.

use coder_core::Timestamp;
use coder_database::StoreError;
use coder_queue::cloud_event::matches;
use coder_queue::limits::DUPLICATE_WINDOW;
use coder_queue::message::property;
use coder_queue::{Entity, Limits, Message};
use rusqlite::Connection;

use super::shared::{AT_ONCE, Result, milliseconds};
use super::source::Source;
use crate::error::{from_sqlite, unavailable};

/// A subscription, as far as publishing needs it.
struct Subscriber {
    group: String,
    patterns: String,
    ttl: i64,
    sessions: bool,
}

impl Subscriber {
    fn takes(&self, message: &Message) -> bool {
        match message.text(property::TARGET) {
            Some(target) => target == self.group,
            None => self.patterns.lines().any(|pattern| matches(pattern, message.event_type())),
        }
    }
}

/// Stores messages; answers how many were no repeats.
pub(crate) fn publish(connection: &Connection, messages: &[Message], now: i64) -> Result<usize> {
    let events = messages.iter().any(|message| message.entity == Entity::Events);
    let subscribers = if events { subscribers(connection)? } else { Vec::new() };
    let mut taken = 0;
    for message in messages {
        if !is_new(connection, message, now)? {
            continue;
        }
        taken += 1;
        match message.entity {
            Entity::Events => {
                let mut content = None;
                for subscriber in subscribers.iter().filter(|subscriber| subscriber.takes(message)) {
                    let number = content.map_or_else(|| store_content(connection, message), Ok)?;
                    content = Some(number);
                    let session =
                        subscriber.sessions.then(|| message.session_id.as_ref().unwrap_or(&message.id));
                    let source = Source::subscription(&subscriber.group);
                    enqueue(connection, &source, message, number, session, subscriber.ttl, now)?;
                }
            }
            Entity::Jobs => {
                let source = Source::jobs(message.text(property::TARGET).unwrap_or_default());
                let content = store_content(connection, message)?;
                enqueue(connection, &source, message, content, None, milliseconds(Limits::JOBS.ttl), now)?;
            }
        }
    }
    Ok(taken)
}

fn subscribers(connection: &Connection) -> Result<Vec<Subscriber>> {
    let sql = "SELECT name, patterns, ttl, sessions FROM subscriptions";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let rows = statement.query_map([], |row| {
        Ok(Subscriber { group: row.get(0)?, patterns: row.get(1)?, ttl: row.get(2)?, sessions: row.get(3)? })
    });
    rows.and_then(Iterator::collect).map_err(from_sqlite)
}

/// Remembers the message's id, unless it was published not long ago.
fn is_new(connection: &Connection, message: &Message, now: i64) -> Result<bool> {
    let sql = "INSERT INTO seen(entity, id, until) VALUES (?1, ?2, ?3)
               ON CONFLICT(entity, id) DO UPDATE SET until = excluded.until WHERE until <= ?4";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let until = now.saturating_add(milliseconds(DUPLICATE_WINDOW));
    let changed = statement.execute((message.entity.name(), &message.id, until, now)).map_err(from_sqlite)?;
    Ok(changed > 0)
}

fn store_content(connection: &Connection, message: &Message) -> Result<i64> {
    let sql = "INSERT INTO contents(id, content_type, subject, session, properties, scheduled, ttl, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let properties = serde_json::to_string(&message.properties)
        .map_err(|error| unavailable(format!("the properties cannot be written: {error}")))?;
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let row = (
        &message.id,
        &message.content_type,
        &message.subject,
        &message.session_id,
        properties,
        message.scheduled_at.map(Timestamp::as_millisecond),
        message.ttl_seconds,
        &message.body,
    );
    statement.insert(row).map_err(from_sqlite)
}

fn enqueue(
    connection: &Connection,
    source: &Source,
    message: &Message,
    content: i64,
    session: Option<&String>,
    ttl: i64,
    now: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO messages(source, content, session, enqueued, visible, expires)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let due = message.scheduled_at.map(Timestamp::as_millisecond).filter(|due| *due > now);
    let (enqueued, visible) = (due.unwrap_or(now), due.unwrap_or(AT_ONCE));
    let ttl = message.ttl_seconds.map_or(ttl, |own| ttl.min(i64::from(own) * 1000));
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let row = (source.to_string(), content, session, enqueued, visible, enqueued.saturating_add(ttl));
    statement.execute(row).map(drop).map_err(from_sqlite)
}
