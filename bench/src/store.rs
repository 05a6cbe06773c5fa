//! Durable creates in the embedded store, beside SQLite itself with the same table and indexes: with one commit for
//! as many creates as the store has waiting at once, and with a commit for each.

use std::path::Path;
use std::time::Duration;

use coder_core::Ambient;
use coder_database::{Container, DocumentStore, Operation, PartitionKey};
use coder_embedded::{Options, SqliteStore, Synchronous};
use futures_util::future::try_join_all;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::clock::{now, percentile, rate};
use crate::table::Table;

const CONTAINER: &str = "documents";
const ROUNDS: usize = 9;
/// Creates that wait at the same time.
const AT_ONCE: usize = 64;
const CREATES: usize = AT_ONCE * 32;
/// Without group commit each waits for the disk.
const CREATES_ALONE: usize = 200;
const AIM: f64 = 0.8;

/// A document of about half a kilobyte.
pub(crate) fn document(number: usize) -> Value {
    let status = ["open", "closed", "waiting", "new"][number % 4];
    json!({
        "id": format!("{number:010}"), "partitionKey": "bench", "type": "note", "status": status,
        "createdAt": format!("2026-01-05T12:00:00.{number:09}Z"),
        "text": "what a person writes in a minute ".repeat(10),
    })
}

/// The container that benchmarks of the store use.
pub(crate) fn container() -> Container {
    Container::new(CONTAINER).index(["status", "createdAt"])
}

/// An open store with that container.
pub(crate) async fn open(directory: &Path, container: Container) -> anyhow::Result<SqliteStore> {
    let options = Options { synchronous: Synchronous::Full, ..Options::default() };
    let store = SqliteStore::open(directory, &options, Ambient::system())?;
    store.prepare(&[container]).await?;
    Ok(store)
}

/// Creates a document.
pub(crate) fn create(number: usize) -> Operation {
    let body = document(number);
    Operation::Create { id: format!("{number:010}"), body, expires_at: None }
}

struct Raw(Connection);

impl Raw {
    fn open(directory: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(directory.join("raw.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-4000;
             CREATE TABLE c(
               n INTEGER PRIMARY KEY, pk TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, ts INTEGER NOT NULL,
               exp INTEGER, body BLOB NOT NULL,
               k_type GENERATED ALWAYS AS (body->>'$.type') VIRTUAL,
               k_status GENERATED ALWAYS AS (body->>'$.status') VIRTUAL,
               k_created GENERATED ALWAYS AS (body->>'$.createdAt') VIRTUAL,
               UNIQUE(pk, id));
             CREATE INDEX x ON c(exp) WHERE exp IS NOT NULL;
             CREATE INDEX t ON c(k_type, pk, id);
             CREATE INDEX i ON c(pk, k_status, k_created, id);",
        )?;
        Ok(Self(connection))
    }

    /// So many creates for each commit.
    fn round(&mut self, first: usize, creates: usize, group: usize) -> anyhow::Result<Duration> {
        let start = now();
        for number in (first..first + creates).step_by(group) {
            let transaction = self.0.transaction()?;
            for number in number..number + group {
                let sql = "INSERT INTO c(pk, id, etag, ts, body) VALUES ('bench', ?1, ?2, ?3, jsonb(?4))";
                let (id, text) = (format!("{number:010}"), document(number).to_string());
                let etag = format!("{number:016x}");
                transaction.prepare_cached(sql)?.execute((id, etag, 1_767_614_400_000_i64, text))?;
            }
            transaction.commit()?;
        }
        Ok(start.elapsed())
    }
}

async fn round(
    store: &SqliteStore,
    first: usize,
    creates: usize,
    at_once: usize,
) -> anyhow::Result<Duration> {
    let key = PartitionKey::single("bench");
    let start = now();
    let one = async |task: usize| {
        for number in (first + task..first + creates).step_by(at_once) {
            store.write(CONTAINER, &key, vec![create(number)]).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..at_once).map(one)).await?;
    Ok(start.elapsed())
}

/// Alternates both, first in groups, then alone.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path(), container()).await?;
    let mut raw = Raw::open(directory.path())?;
    let mut first = 0;
    for (at_once, creates) in [(AT_ONCE, CREATES), (1, CREATES_ALONE)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(round(&store, first, creates, at_once).await?);
            theirs.push(raw.round(first, creates, at_once)?);
            first += creates;
        }
        let ours = rate(creates, percentile(&mut ours, 50));
        let theirs = rate(creates, percentile(&mut theirs, 50));
        let row = table
            .row(format!("durable creates, {at_once} at once"), format!("{ours:.0} a second"))
            .beside(format!("SQLite, {at_once} a commit: {theirs:.0} a second"))
            .figure(ours / theirs, " × as many");
        if at_once > 1 {
            row.at_least(AIM);
        }
    }
    Ok(())
}
