//! The dead letters: why a message is one, and moving it there.

use rusqlite::Connection;

use super::shared::{AT_ONCE, Result};
use super::source::Source;
use crate::error::from_sqlite;

/// Longest reason and description that is kept, in characters; Service Bus has 4,096 bytes.
const KEPT_CHARS: usize = 1024;

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In a word or two.
    pub reason: String,
    /// In full.
    pub description: String,
}

impl Reason {
    /// A receiver's refusal; cut to what a broker keeps.
    pub fn new(reason: &str, description: &str) -> Self {
        let cut = |text: &str| text.chars().take(KEPT_CHARS).collect();
        Self { reason: cut(reason), description: cut(description) }
    }

    pub(crate) fn expired() -> Self {
        Self::new("TTLExpiredException", "The message expired before it was received.")
    }

    pub(crate) fn exhausted(deliveries: u32) -> Self {
        let description = format!("The message was delivered {deliveries} times and never completed.");
        Self::new("MaxDeliveryCountExceeded", &description)
    }
}

/// Moves a message to the dead letters of its source; one that is there already stays.
pub(crate) fn bury(connection: &Connection, source: &Source, number: i64, reason: &Reason) -> Result<()> {
    let sql = "UPDATE messages SET source = ?2, visible = ?3, session = NULL, expires = NULL, lock = NULL,
                 reason = ?4, description = ?5 WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let path = source.dead_letters().to_string();
    let row = (number, path, AT_ONCE, &reason.reason, &reason.description);
    statement.execute(row).map(drop).map_err(from_sqlite)
}

/// Moves some of what has expired anywhere to the dead letters; answers how many. What is locked may still be
/// completed, so it stays until the lock ends.
pub(crate) fn bury_expired(connection: &Connection, now: i64, most: usize) -> Result<usize> {
    let sql = "SELECT seq, source FROM messages WHERE expires <= ?1 AND (lock IS NULL OR visible <= ?1)
               ORDER BY expires LIMIT ?2";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map((now, most), |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let found: Vec<(i64, String)> = rows.and_then(Iterator::collect).map_err(from_sqlite)?;
    for (number, path) in &found {
        if let Some(source) = Source::parse(path) {
            bury(connection, &source, *number, &Reason::expired())?;
        }
    }
    Ok(found.len())
}
