//! Opening a SQLite file: the settings of its connections, and what can be wrong with it, said plainly.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::key;

/// The first SQLite whose write-ahead log is safe with several writers and checkpoints.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Bytes of memory that copies of vectors take together, at most, unless the options say otherwise.
const VECTOR_MEMORY: usize = 256 * 1024 * 1024;

/// When a commit counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// It survives a killed process; a power cut can lose the last commits but tears none.
    #[default]
    Normal,
    /// It survives a power cut too.
    Full,
}

/// How a store works; the default suits development and tests.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a commit counts as written.
    pub synchronous: Synchronous,
    /// How long to wait for another process's lock.
    pub lock_timeout: Duration,
    /// Writes, and as many reads, that may wait; more are refused as throttled.
    pub queue: usize,
    /// Bytes of memory for copies of vectors, with which a search takes milliseconds: 400 or so for one of 384
    /// numbers. A search whose vectors do not fit reads them all from the file.
    pub vector_memory: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::default(),
            lock_timeout: Duration::from_secs(5),
            queue: 1024,
            vector_memory: VECTOR_MEMORY,
        }
    }
}

/// Why a file cannot be opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be made or written.
    #[error("cannot write to `{}` ({source}): choose another data directory or correct its permissions", path.display())]
    Unwritable {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged or is something else.
    #[error("`{}` is damaged or no database ({detail}): restore a copy, or move it away to start empty", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// SQLite is too old.
    #[error(
        "SQLite {found} can corrupt a shared file: build the program with its bundled SQLite, 3.51.3 or later"
    )]
    SqliteTooOld {
        /// The version linked into the program.
        found: &'static str,
    },
    /// Another process does not let go of the file.
    #[error("`{}` is locked by another process: stop that process and start again", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A later version of the program wrote the file.
    #[error("`{}` has schema {found} but this program knows only {known}: use the newer program, or another data directory", path.display())]
    SchemaNewer {
        /// The file.
        path: PathBuf,
        /// The file's schema version.
        found: i64,
        /// The program's schema version.
        known: i64,
    },
    /// Anything else.
    #[error("cannot open `{}` ({detail}): look for a full disk or a missing limit of the system", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system said.
        detail: String,
    },
}

impl OpenError {
    /// The fault behind an error of SQLite.
    pub(crate) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::Unwritable { path, source: io::Error::new(io::ErrorKind::PermissionDenied, detail) }
            }
            _ => Self::Other { path, detail },
        }
    }
}

/// Refuses a SQLite that can corrupt what several processes write.
pub(crate) fn check_sqlite_version() -> Result<(), OpenError> {
    refuse_older(rusqlite::version_number(), rusqlite::version())
}

fn refuse_older(number: i32, found: &'static str) -> Result<(), OpenError> {
    if number < OLDEST_SQLITE { Err(OpenError::SqliteTooOld { found }) } else { Ok(()) }
}

/// A connection with every setting made; the sidecar lock is held by the caller while the file may be new.
pub(crate) fn connect(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.lock_timeout)?;
    key::register(&connection)?;
    connection.execute_batch("PRAGMA page_size=4096; PRAGMA journal_mode=WAL;")?;
    connection.execute_batch(match options.synchronous {
        Synchronous::Normal => "PRAGMA synchronous=NORMAL;",
        Synchronous::Full => "PRAGMA synchronous=FULL;",
    })?;
    connection.execute_batch(
        "PRAGMA cache_size=-4000; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864;
         PRAGMA wal_autocheckpoint=1000; PRAGMA trusted_schema=OFF; PRAGMA mmap_size=0;",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// A connection for reading only; the file exists.
pub(crate) fn connect_reader(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let connection = connect(path, options)?;
    connection.execute_batch("PRAGMA query_only=ON;")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_sqlite_is_refused() {
        assert!(check_sqlite_version().is_ok());
        let error = refuse_older(3_051_002, "3.51.2").unwrap_err();
        assert!(error.to_string().starts_with("SQLite 3.51.2 can corrupt"), "{error}");
    }
}
