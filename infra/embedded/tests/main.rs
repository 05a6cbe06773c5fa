//! The embedded store and broker against the suite of every provider, against damaged files, and against `kill -9`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod broker;
mod files;
mod kill;
mod sweep;
mod types;
mod vectors;

use std::sync::Arc;

use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::DocumentStore;
use coder_database::contract::{self, Subject};
use coder_embedded::{Options, SqliteStore};

mod suite {
    coder_database::contract_tests!(crate::subject);
}

/// A fresh store in a directory of its own.
async fn subject() -> Subject {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(contract::start());
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let store = SqliteStore::open(directory.path(), &Options::default(), ambient).unwrap();
    store.prepare(&contract::containers()).await.unwrap();
    Subject { store: Arc::new(store), clock, keep: Box::new(directory) }
}
