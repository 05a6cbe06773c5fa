//! Reads of single documents on the thread that asks. SQLite finds one in a few microseconds where its pages are in
//! memory; handing it to another thread and back costs several times that. A page that is not in memory costs about
//! a hundred microseconds of a local disk, which a runtime bears for one document but not for a query.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use coder_database::StoreError;
use rusqlite::Connection;

use crate::open::{Options, connect_reader};

/// Connections for single documents: as many as threads that may well ask at the same moment.
const CONNECTIONS: usize = 2;

/// Connections for whoever comes first, opened when they are needed; none waits.
pub(crate) struct Points {
    path: PathBuf,
    options: Options,
    connections: [Mutex<Option<Connection>>; CONNECTIONS],
}

impl Points {
    /// Connections to a file that is open already.
    pub(crate) fn new(path: &Path, options: &Options) -> Self {
        // Where another process puts the log in order, the reading threads do the waiting.
        let options = Options { lock_timeout: Duration::ZERO, ..options.clone() };
        Self { path: path.to_owned(), options, connections: Default::default() }
    }

    /// Runs a job at once; `None` if that cannot be done without waiting.
    pub(crate) fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let mut free = self.connections.iter().find_map(|connection| connection.try_lock().ok())?;
        let connection = match &mut *free {
            Some(connection) => connection,
            none => none.insert(connect_reader(&self.path, &self.options).ok()?),
        };
        let outcome = job(connection);
        (!matches!(outcome, Err(StoreError::Throttled { .. }))).then_some(outcome)
    }

    /// Closes the connections.
    pub(crate) fn close(&mut self) {
        self.connections = Default::default();
    }
}
