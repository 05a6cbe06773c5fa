//! Small things that the statements of the broker share.

use std::time::Duration;

use coder_core::Timestamp;
use coder_database::StoreError;
use rusqlite::Connection;

use super::source::Source;
use crate::error::{from_sqlite, invalid};
use coder_queue::{Entity, Limits};

pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// When a message can be received that waits for nothing: before any time that a clock shows.
pub(crate) const AT_ONCE: i64 = i64::MIN;

/// A lock or a back-off that ends later than this from now, in milliseconds, was given by a wrong clock and counts
/// as ended: locks and back-offs last five minutes at most.
pub(crate) const CLOCK_FAULT: i64 = 10 * 60 * 1000;

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

/// How a source treats its messages; a subscription has to be declared.
pub(crate) fn limits(connection: &Connection, source: &Source) -> Result<Limits> {
    if source.entity() == Entity::Jobs {
        return Ok(Limits::JOBS);
    }
    let sql = "SELECT lock, deliveries, ttl FROM subscriptions WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let found = statement.query_row([source.group()], |row| {
        let duration = |milliseconds: i64| Duration::from_millis(milliseconds.unsigned_abs());
        Ok(Limits { lock: duration(row.get(0)?), deliveries: row.get(1)?, ttl: duration(row.get(2)?) })
    });
    match found {
        Ok(limits) => Ok(limits),
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            Err(invalid(format!("there is no subscription `{}`", source.group())))
        }
        Err(error) => Err(from_sqlite(error)),
    }
}
