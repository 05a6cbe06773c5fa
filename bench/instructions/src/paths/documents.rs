//! The embedded store, as a repository calls it.

use anyhow::ensure;
use coder_database::{Container, Direction, DocumentStore, Filter, Operation, PartitionKey, Query};
use coder_embedded::{Options, SqliteStore};
use serde_json::json;
use tempfile::TempDir;

use super::ambient;

const CONTAINER: &str = "documents";
/// Documents that a page is read out of.
const DOCUMENTS: u64 = 400;
const PAGE: u32 = 50;

struct Open {
    store: SqliteStore,
    key: PartitionKey,
    _directory: TempDir,
}

impl Open {
    async fn new() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let store = SqliteStore::open(directory.path(), &Options::default(), ambient()?)?;
        store.prepare(&[Container::new(CONTAINER).index(["status", "createdAt"])]).await?;
        Ok(Self { store, key: PartitionKey::single("count"), _directory: directory })
    }

    async fn create(&self, number: u64) -> anyhow::Result<()> {
        let id = id(number);
        let status = if number.is_multiple_of(4) { "open" } else { "closed" };
        let body = json!({
            "id": id, "partitionKey": "count", "type": "note", "status": status,
            "createdAt": format!("2026-01-05T12:00:00.{number:09}Z"),
            "text": "what a person writes in a minute ".repeat(10),
        });
        let create = Operation::Create { id, body, expires_at: None };
        self.store.write(CONTAINER, &self.key, vec![create]).await?;
        Ok(())
    }
}

fn id(number: u64) -> String {
    format!("{number:010}")
}

/// Creates documents, each in a transaction of its own.
pub(super) async fn write(times: u64) -> anyhow::Result<()> {
    let open = Open::new().await?;
    for number in 0..times {
        open.create(number).await?;
    }
    Ok(())
}

/// Reads one document again and again.
pub(super) async fn read(times: u64) -> anyhow::Result<()> {
    let open = Open::new().await?;
    open.create(0).await?;
    for _ in 0..times {
        ensure!(open.store.read(CONTAINER, &open.key, &id(0)).await?.is_some(), "the document is gone");
    }
    Ok(())
}

/// Reads the newest of one status.
pub(super) async fn page(times: u64) -> anyhow::Result<()> {
    let open = Open::new().await?;
    for number in 0..DOCUMENTS {
        open.create(number).await?;
    }
    let query =
        Query::new(Filter::eq("status", "open")).order_by("createdAt", Direction::Descending).limit(PAGE);
    for _ in 0..times {
        let page = open.store.query(CONTAINER, &open.key, &query).await?;
        ensure!(page.items.len() == PAGE as usize, "the page is not full");
    }
    Ok(())
}
