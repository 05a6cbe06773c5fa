//! A filtered page of fifty, newest first, out of containers of several sizes: it must cost the same in all.

use std::time::Duration;

use coder_database::{Direction, DocumentStore, Filter, PartitionKey, Query};
use coder_embedded::SqliteStore;
use futures_util::future::try_join_all;
use tempfile::TempDir;

use crate::clock::{percentile, timed};
use crate::store::{container, create, open};
use crate::table::Table;

const SIZES: [usize; 2] = [1_000, 100_000];
const LONG: usize = 1_000_000;
/// Documents in one batch, and batches at once.
const BATCH: usize = 100;
const AT_ONCE: usize = 10;
const READS: usize = 400;
/// What a page of a large container may cost, as a multiple of one of the smallest.
const GROWTH: f64 = 1.5;

/// A container with so many documents, and how long its pages took.
struct Filled {
    size: usize,
    store: SqliteStore,
    took: Vec<Duration>,
    _directory: TempDir,
}

/// Fills a container for each size, then reads the same page of each in turn.
pub(crate) async fn measure(table: &mut Table, long: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for size in SIZES.into_iter().chain(long.then_some(LONG)) {
        all.push(Filled::new(size).await?);
    }
    for _ in 0..READS {
        for filled in &mut all {
            filled.read().await?;
        }
    }
    let mut smallest = None;
    for filled in &mut all {
        let median = percentile(&mut filled.took, 50).as_secs_f64() * 1e6;
        let row = table.row(format!("a filtered page of 50 of {}", filled.size), format!("{median:.0} µs"));
        let smallest = *smallest.get_or_insert(median);
        if filled.size > SIZES[0] {
            row.beside(format!("of {}: {smallest:.0} µs", SIZES[0]));
            row.figure(median / smallest, " × its time").at_most(GROWTH);
        }
    }
    Ok(())
}

impl Filled {
    async fn new(size: usize) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let store = open(directory.path(), container()).await?;
        let (name, key) = (container().name, key());
        for first in (0..size).step_by(BATCH * AT_ONCE) {
            let batches = (first..(first + BATCH * AT_ONCE).min(size)).step_by(BATCH);
            let fill = async |first: usize| {
                store.write(name, &key, (first..first + BATCH).map(create).collect()).await
            };
            try_join_all(batches.map(fill)).await?;
        }
        Ok(Self { size, store, took: Vec::with_capacity(READS), _directory: directory })
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let query = Query::new(Filter::eq("status", "open")).order_by("createdAt", Direction::Descending);
        let (page, time) = timed(self.store.query(container().name, &key(), &query)).await;
        anyhow::ensure!(page?.items.len() == 50, "a page has fifty documents");
        self.took.push(time);
        Ok(())
    }
}

fn key() -> PartitionKey {
    PartitionKey::single("bench")
}
