//! Providers for one machine: documents and a message broker in SQLite, and a master key in a file.
//!
//! This is the only crate that names SQLite. It is safe for several processes on one data directory, and loses
//! nothing that it acknowledged when a process is killed. It is no general SQLite wrapper: entry points are
//! [`SqliteStore::open`], [`SqliteBroker::open`] and [`master_key_file`].

mod batch;
pub mod broker;
mod continuation;
mod database;
mod error;
mod filter;
mod key;
mod lock;
mod master_key;
mod open;
mod partition;
mod points;
mod query;
mod reader;
mod schema;
mod store;
mod table;
mod vector;
mod writer;

pub use broker::SqliteBroker;
pub use master_key::master_key_file;
pub use open::{OpenError, Options, Synchronous};
pub use store::SqliteStore;
