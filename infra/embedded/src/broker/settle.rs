//! What a receiver can do with a message under its lock.

use coder_core::{Ambient, Timestamp};
use coder_database::StoreError;
use rusqlite::{Connection, OptionalExtension as _};

use super::dead::{self, Reason};
use super::receive::Lock;
use super::shared::{AT_ONCE, Result, limits, milliseconds, time};
use crate::error::from_sqlite;

/// Why a delivery was not settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The lock has ended, so somebody else may have the message.
    #[error("the lock on the message has ended")]
    LockLost,
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do with a locked message.
#[derive(Debug, Clone)]
pub(crate) enum Settlement {
    /// Done: it goes.
    Complete,
    /// Failed: it comes again, not before the time if there is one.
    Abandon(Option<Timestamp>),
    /// Not tried: it comes again as if it had not been received.
    Release,
    /// Never to be tried again.
    Bury(Reason),
    /// Still being worked on.
    Renew,
}

/// Settles a delivery whose lock still holds; answers until when the message is kept from others. `None` means
/// that the lock was lost.
pub(crate) fn settle(
    connection: &Connection,
    lock: &Lock,
    settlement: &Settlement,
    ambient: &Ambient,
) -> Result<Option<Timestamp>> {
    let now = ambient.now().as_millisecond();
    let Some((content, deliveries)) = held(connection, lock, now)? else { return Ok(None) };
    let number = lock.sequence_number;
    let again = "UPDATE messages SET visible = ?2, deliveries = ?3, lock = NULL WHERE seq = ?1";
    let update = |sql: &str, visible: i64, deliveries: u32| {
        let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
        statement.execute((number, visible, deliveries)).map(drop).map_err(from_sqlite)
    };
    let mut until = now;
    match settlement {
        Settlement::Complete => remove(connection, number, content)?,
        Settlement::Release => update(again, AT_ONCE, deliveries.saturating_sub(1))?,
        Settlement::Bury(reason) => dead::bury(connection, &lock.source, number, reason)?,
        Settlement::Renew => {
            until = now.saturating_add(milliseconds(limits(connection, &lock.source)?.lock));
            update("UPDATE messages SET visible = ?2, deliveries = ?3 WHERE seq = ?1", until, deliveries)?;
        }
        Settlement::Abandon(_)
            if !lock.source.is_dead_letters()
                && deliveries >= limits(connection, &lock.source)?.deliveries =>
        {
            dead::bury(connection, &lock.source, number, &Reason::exhausted(deliveries))?;
        }
        Settlement::Abandon(not_before) => {
            let later = not_before.map(Timestamp::as_millisecond).filter(|later| *later > now);
            until = later.unwrap_or(now);
            update(again, later.unwrap_or(AT_ONCE), deliveries)?;
        }
    }
    Ok(Some(time(until)))
}

/// The content and the deliveries of a message whose lock holds.
fn held(connection: &Connection, lock: &Lock, now: i64) -> Result<Option<(i64, u32)>> {
    let sql = "SELECT content, deliveries FROM messages WHERE seq = ?1 AND lock = ?2 AND visible > ?3";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let found =
        statement.query_row((lock.sequence_number, &lock.token, now), |row| Ok((row.get(0)?, row.get(1)?)));
    found.optional().map_err(from_sqlite)
}

/// Removes a message, and what was published with it once nobody has it any more.
fn remove(connection: &Connection, number: i64, content: i64) -> Result<()> {
    let run = |sql: &str, of: i64| {
        let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
        statement.execute([of]).map(drop).map_err(from_sqlite)
    };
    run("DELETE FROM messages WHERE seq = ?1", number)?;
    let unused = "DELETE FROM contents WHERE n = ?1
                  AND NOT EXISTS (SELECT 1 FROM messages WHERE content = ?1)";
    run(unused, content)
}
