//! Receiving under a lock. Whoever receives also moves to the dead letters what can no longer be delivered.

use coder_core::{Ambient, Timestamp};
use coder_queue::{Entity, Message};
use rusqlite::{Connection, Row};

use super::SLICE;
use super::dead::{self, Reason};
use super::shared::{CLOCK_FAULT, Result, limits, milliseconds, time};
use super::source::Source;
use crate::error::from_sqlite;

/// A message under lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What settles it.
    pub lock: Lock,
    /// The message, as it was published.
    pub message: Message,
    /// Which delivery this is; 1 is the first.
    pub delivery_count: u32,
    /// When it became active.
    pub enqueued_at: Timestamp,
    /// When it becomes a dead letter; a dead letter itself never ends.
    pub expires_at: Option<Timestamp>,
    /// When the lock ends unless it is renewed.
    pub locked_until: Timestamp,
    /// Why it is a dead letter, if it is one.
    pub dead_letter: Option<Reason>,
}

/// The right to settle a delivery, until the lock ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Where the message waits.
    pub source: Source,
    /// Numbers the messages of a broker in the order they were published.
    pub sequence_number: i64,
    /// A UUID.
    pub token: String,
}

/// What makes a message of a source receivable at `?2`: its time has come, or the clock was wrong that gave it (`?3`);
/// and no other of its session is under lock or, published before it, was delivered or could be.
macro_rules! receivable {
    ($source:literal) => {
        concat!(
            "source = ",
            $source,
            " AND (visible <= ?2 OR (visible > ?3 AND deliveries > 0))
              AND (session IS NULL OR NOT EXISTS (SELECT 1 FROM messages AS other WHERE other.source = one.source
                AND other.session = one.session AND (
                  (other.seq < one.seq AND (other.visible <= ?2 OR other.deliveries > 0))
                  OR (other.lock IS NOT NULL AND other.visible > ?2 AND other.visible <= ?3))))"
        )
    };
}

/// Which of the sources have something to receive. Reads only.
pub(crate) fn ready(connection: &Connection, paths: &str, now: i64) -> Result<Vec<usize>> {
    let sql = concat!(
        "SELECT paths.key FROM json_each(?1) AS paths WHERE EXISTS (SELECT 1 FROM messages AS one WHERE ",
        receivable!("paths.value"),
        ")"
    );
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let bounds = (paths, now, now.saturating_add(CLOCK_FAULT));
    let rows = statement.query_map(bounds, |row| row.get::<_, u32>(0).map(|index| index as usize));
    rows.and_then(Iterator::collect).map_err(from_sqlite)
}

struct Candidate {
    sequence_number: i64,
    deliveries: u32,
    expires: Option<i64>,
}

/// Locks what can be received, in the order of publishing, at most so many.
pub(crate) fn receive(
    connection: &Connection,
    source: &Source,
    count: usize,
    ambient: &Ambient,
) -> Result<Vec<Delivery>> {
    let (limits, now) = (limits(connection, source)?, ambient.now().as_millisecond());
    let until = now.saturating_add(milliseconds(limits.lock));
    let (mut received, mut buried) = (Vec::new(), 0);
    // What is dead makes room for others; of much that is dead, the next call buries the rest.
    while received.len() < count && buried < SLICE {
        let found = candidates(connection, source, count - received.len(), now)?;
        if found.is_empty() {
            break;
        }
        for candidate in found {
            let number = candidate.sequence_number;
            if candidate.expires.is_some_and(|time| time <= now) {
                dead::bury(connection, source, number, &Reason::expired())?;
                buried += 1;
            } else if !source.is_dead_letters() && candidate.deliveries >= limits.deliveries {
                dead::bury(connection, source, number, &Reason::exhausted(candidate.deliveries))?;
                buried += 1;
            } else {
                let token = uuid_text(ambient);
                lock(connection, number, &token, until)?;
                received.push(read(connection, source, number, token, until)?);
            }
        }
    }
    Ok(received)
}

fn candidates(connection: &Connection, source: &Source, count: usize, now: i64) -> Result<Vec<Candidate>> {
    let sql = concat!(
        "SELECT seq, deliveries, expires FROM messages AS one INDEXED BY messages_order WHERE ",
        receivable!("?1"),
        " ORDER BY seq LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let bounds = (source.to_string(), now, now.saturating_add(CLOCK_FAULT), limit);
    let rows = statement.query_map(bounds, |row| {
        Ok(Candidate { sequence_number: row.get(0)?, deliveries: row.get(1)?, expires: row.get(2)? })
    });
    rows.and_then(Iterator::collect).map_err(from_sqlite)
}

fn lock(connection: &Connection, number: i64, token: &str, until: i64) -> Result<()> {
    let sql = "UPDATE messages SET visible = ?2, deliveries = deliveries + 1, lock = ?3 WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    statement.execute((number, until, token)).map(drop).map_err(from_sqlite)
}

fn read(
    connection: &Connection,
    source: &Source,
    number: i64,
    token: String,
    until: i64,
) -> Result<Delivery> {
    let sql = "SELECT deliveries, enqueued, expires, reason, description,
                 id, content_type, subject, contents.session, properties, scheduled, ttl, body
               FROM messages JOIN contents ON contents.n = messages.content WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let delivery = |row: &Row<'_>| {
        let (reason, description): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
        Ok(Delivery {
            lock: Lock { source: source.clone(), sequence_number: number, token },
            message: content(row, source.entity(), 5)?,
            delivery_count: row.get(0)?,
            enqueued_at: time(row.get(1)?),
            expires_at: row.get::<_, Option<i64>>(2)?.map(time),
            locked_until: time(until),
            dead_letter: reason.map(|reason| Reason { reason, description: description.unwrap_or_default() }),
        })
    };
    statement.query_row([number], delivery).map_err(from_sqlite)
}

/// A published message, whose columns begin at `first`.
fn content(row: &Row<'_>, entity: Entity, first: usize) -> rusqlite::Result<Message> {
    let properties: String = row.get(first + 4)?;
    Ok(Message {
        id: row.get(first)?,
        entity,
        content_type: row.get(first + 1)?,
        subject: row.get(first + 2)?,
        session_id: row.get(first + 3)?,
        properties: serde_json::from_str(&properties).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(first + 4, rusqlite::types::Type::Text, Box::new(error))
        })?,
        scheduled_at: row.get::<_, Option<i64>>(first + 5)?.map(time),
        ttl_seconds: row.get(first + 6)?,
        body: row.get(first + 7)?,
    })
}

/// A token in the form of a UUID (version 7).
fn uuid_text(ambient: &Ambient) -> String {
    ambient.new_uuid().to_string()
}
