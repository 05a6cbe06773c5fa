//! The tables of the message file.

use std::path::Path;

use rusqlite::Connection;

use crate::open::OpenError;

/// The version of everything in this file.
const SCHEMA: i64 = 1;

/// - `contents`: what was published, once for all subscriptions that have it.
/// - `messages`: a message in one source (a subscription, a group's jobs, or the dead letters of either). It can be
///   received when `visible` has come: that is its scheduled time, the end of its lock, or the end of its back-off;
///   what waits for none of these is visible at once, whatever the clock says. `enqueued` is when it became, or will
///   become, active; it is only told. `session` is set only where the order matters.
/// - `seen`: ids within the duplicate window.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS subscriptions(
  name TEXT PRIMARY KEY, patterns TEXT NOT NULL, lock INTEGER NOT NULL, deliveries INTEGER NOT NULL,
  ttl INTEGER NOT NULL, sessions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents(
  n INTEGER PRIMARY KEY, id TEXT NOT NULL, content_type TEXT NOT NULL, subject TEXT, session TEXT,
  properties TEXT NOT NULL, scheduled INTEGER, ttl INTEGER, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS messages(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, content INTEGER NOT NULL, session TEXT,
  enqueued INTEGER NOT NULL, visible INTEGER NOT NULL, expires INTEGER, deliveries INTEGER NOT NULL DEFAULT 0,
  lock TEXT, reason TEXT, description TEXT);
CREATE INDEX IF NOT EXISTS messages_ready ON messages(source, visible, seq);
CREATE INDEX IF NOT EXISTS messages_order ON messages(source, seq, visible, deliveries);
CREATE INDEX IF NOT EXISTS messages_session ON messages(source, session, enqueued, seq) WHERE session IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_content ON messages(content);
CREATE INDEX IF NOT EXISTS messages_expires ON messages(expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS seen(
  entity TEXT NOT NULL, id TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY(entity, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_until ON seen(until);
";

/// Makes the tables, and refuses a file of a later program.
pub(crate) fn create(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > SCHEMA {
        return Err(OpenError::SchemaNewer { path: path.to_owned(), found, known: SCHEMA });
    }
    connection.execute_batch(TABLES).map_err(sqlite)?;
    connection.execute_batch(&format!("PRAGMA user_version = {SCHEMA};")).map_err(sqlite)
}
