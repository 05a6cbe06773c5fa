//! The document store: what the trait asks for, as jobs for the threads of one file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use coder_core::Ambient;
use coder_database::rules::{check_filter, check_key_prefix, check_whole_key};
use coder_database::{
    Container, Document, DocumentStore, Filter, Operation, Page, PartitionKey, Query, StoreError, Written,
};
use rusqlite::{Connection, OptionalExtension};

use crate::batch::{Batch, parse};
use crate::database::Database;
use crate::error::{from_sqlite, invalid, unavailable};
use crate::open::{OpenError, Options};
use crate::partition::{self, Range};
use crate::query::{Count, PageRead};
use crate::schema;
use crate::table::Table;
use crate::vector::{Copies, Search};

/// Documents that one step of a sweep removes.
const SLICE: i64 = 500;

/// Documents in the file `docs.db` of a data directory. Dropping the store finishes the writes that it accepted
/// and closes the file.
#[derive(Debug)]
pub struct SqliteStore {
    database: Database,
    tables: RwLock<HashMap<&'static str, Arc<Table>>>,
    copies: Arc<Copies>,
    ambient: Ambient,
}

impl SqliteStore {
    /// Opens or makes the store in a directory, which is made if it is missing. Blocks, at most for the lock
    /// time-out when another process holds the file.
    pub fn open(directory: &Path, options: &Options, ambient: Ambient) -> Result<Self, OpenError> {
        let database = Database::open(directory, "docs", options, schema::create)?;
        let copies = Arc::new(Copies::new(options.vector_memory));
        Ok(Self { database, tables: RwLock::default(), copies, ambient })
    }

    /// Removes documents whose time has come, and says how many. Nothing depends on it but the file's size:
    /// expired documents are never seen. Call it every minute or so.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let tables: Vec<Arc<Table>> =
            self.tables.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let now = self.now();
        let mut removed = 0;
        for table in tables {
            loop {
                let table = Arc::clone(&table);
                // A slice at a time, so that other writes come in between.
                let slice = self.database.write(move |connection| {
                    let mut statement = connection.prepare_cached(&table.sql.sweep).map_err(from_sqlite)?;
                    statement.execute((now, SLICE)).map_err(from_sqlite)
                });
                let slice = slice.await? as u64;
                removed += slice;
                if slice < SLICE.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(removed)
    }

    /// Reads the whole file and says what is wrong with it, if anything is. Takes long on a large file.
    pub async fn check(&self) -> Result<(), StoreError> {
        let found = self.database.read(|connection| {
            connection
                .query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
                .map_err(from_sqlite)
        });
        match found.await?.as_str() {
            "ok" => Ok(()),
            fault => Err(unavailable(format!("the document file is damaged: {fault}"))),
        }
    }

    fn now(&self) -> i64 {
        self.ambient.now().as_millisecond()
    }

    fn table(&self, container: &str) -> Result<Arc<Table>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(container).cloned().ok_or_else(|| invalid(format!("there is no container `{container}`")))
    }

    /// SQLite takes names that differ in case for the same.
    fn refuse_look_alike(&self, name: &str) -> Result<(), StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        match tables.keys().find(|other| **other != name && other.eq_ignore_ascii_case(name)) {
            Some(other) => Err(invalid(format!("the containers `{other}` and `{name}` differ only in case"))),
            None => Ok(()),
        }
    }

    fn range(table: &Table, key: &PartitionKey) -> Result<Range, StoreError> {
        check_key_prefix(&table.container, key)?;
        Ok(partition::range(key, table.container.partition_key.len()))
    }
}

fn read_document(
    connection: &Connection,
    table: &Table,
    pk: &str,
    id: &str,
    now: i64,
) -> Result<Option<Document>, StoreError> {
    let mut statement = connection.prepare_cached(&table.sql.read).map_err(from_sqlite)?;
    let row = statement
        .query_row((pk, id, now), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .optional()
        .map_err(from_sqlite)?;
    let Some((etag, text)) = row else { return Ok(None) };
    Ok(Some(Document { id: id.to_owned(), etag, body: parse(&text)? }))
}

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn prepare(&self, containers: &[Container]) -> Result<(), StoreError> {
        for container in containers {
            let table = Arc::new(Table::new(container)?);
            self.refuse_look_alike(container.name)?;
            let made = Arc::clone(&table);
            self.database.write(move |connection| schema::prepare(connection, &made)).await?;
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            tables.insert(container.name, table);
        }
        Ok(())
    }

    async fn read(
        &self,
        container: &str,
        key: &PartitionKey,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        let table = self.table(container)?;
        check_whole_key(&table.container, key)?;
        let (pk, id, now) = (partition::text(key), id.to_owned(), self.now());
        self.database.read_point(move |connection| read_document(connection, &table, &pk, &id, now)).await
    }

    async fn write(
        &self,
        container: &str,
        key: &PartitionKey,
        operations: Vec<Operation>,
    ) -> Result<Vec<Written>, StoreError> {
        let table = self.table(container)?;
        let batch = Batch::new(&table, key, operations)?;
        let ambient = self.ambient.clone();
        let one_statement = batch.is_one_statement(&table);
        let job = move |connection: &Connection| batch.run(connection, &table, &ambient);
        if one_statement { self.database.write_statement(job).await } else { self.database.write(job).await }
    }

    async fn query(&self, container: &str, key: &PartitionKey, query: &Query) -> Result<Page, StoreError> {
        let table = self.table(container)?;
        let range = Self::range(&table, key)?;
        let page = PageRead::new(&table, Some(key), &range, query, self.now())?;
        self.database.read(move |connection| page.run(connection)).await
    }

    async fn count(
        &self,
        container: &str,
        key: &PartitionKey,
        filter: Option<&Filter>,
    ) -> Result<usize, StoreError> {
        let table = self.table(container)?;
        filter.map_or(Ok(()), check_filter)?;
        let count = Count::new(&table, &Self::range(&table, key)?, filter, self.now())?;
        self.database.read(move |connection| count.run(connection)).await
    }

    async fn query_across(&self, container: &str, query: &Query) -> Result<Page, StoreError> {
        let table = self.table(container)?;
        let page = PageRead::new(&table, None, &Range::All, query, self.now())?;
        self.database.read(move |connection| page.run(connection)).await
    }

    async fn nearest(
        &self,
        container: &str,
        key: &PartitionKey,
        field: &str,
        vector: &[f32],
        top: u32,
        filter: Option<&Filter>,
    ) -> Result<Vec<(Document, f32)>, StoreError> {
        let table = self.table(container)?;
        filter.map_or(Ok(()), check_filter)?;
        let (range, now) = (Self::range(&table, key)?, self.now());
        let search = Search::new(&table, &range, field, vector, top, filter, now)?;
        let copies = Arc::clone(&self.copies);
        let job = move |connection: &Connection| {
            // One transaction, so that no hit goes between finding and reading it.
            let (snapshot, hits) = search.run(connection, &copies)?;
            let hits = hits.into_iter().filter_map(|hit| {
                let document = read_document(&snapshot, &table, &hit.pk, &hit.id, now).transpose()?;
                Some(document.map(|document| (document, hit.similarity)))
            });
            hits.collect()
        };
        self.database.read(job).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let answer = |connection: &Connection| {
            connection
                .prepare_cached("SELECT count(*) FROM containers")?
                .query_row([], |row| row.get::<_, i64>(0))
        };
        self.database.read(move |connection| answer(connection).map(drop).map_err(from_sqlite)).await
    }
}
