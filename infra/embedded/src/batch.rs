//! Writing: the operations of a batch one after the other; all of them, or none.

use coder_core::Ambient;
use coder_database::rules::{check_document, check_write};
use coder_database::{Operation, PartitionKey, Patch, StoreError, Written, patch};
use rusqlite::{Connection, OptionalExtension, Params};
use serde_json::Value;

use crate::error::{from_sqlite, unavailable};
use crate::table::Table;
use crate::{partition, vector};

/// A checked batch.
pub(crate) struct Batch {
    key: PartitionKey,
    pk: String,
    changes: Vec<(String, Change)>,
}

/// An operation with its body already as text.
enum Change {
    Put { mode: Put, text: String, vectors: Vectors, expires: Option<i64> },
    Delete { if_match: Option<String> },
    Patch { patches: Vec<Patch>, if_match: Option<String> },
}

enum Put {
    Create,
    Upsert,
    Replace { if_match: Option<String> },
}

/// The vectors of a document by field.
type Vectors = Vec<(&'static str, Vec<u8>)>;

/// Reads a stored document's text.
pub(crate) fn parse(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text)
        .map_err(|cause| unavailable(format!("a stored document cannot be read: {cause}")))
}

impl Batch {
    /// Checks everything that needs no look into the store.
    pub(crate) fn new(
        table: &Table,
        key: &PartitionKey,
        operations: Vec<Operation>,
    ) -> Result<Self, StoreError> {
        let texts = check_write(&table.container, key, &operations)?;
        let changes = operations.into_iter().zip(texts).map(|(operation, text)| {
            let put = |mode, body: &Value, expires_at: Option<coder_core::Timestamp>| {
                let expires = expires_at.map(coder_core::Timestamp::as_millisecond);
                Ok(Change::Put { mode, text, vectors: vectors(table, body)?, expires })
            };
            let (id, change) = match operation {
                Operation::Create { id, body, expires_at } => (id, put(Put::Create, &body, expires_at)?),
                Operation::Upsert { id, body, expires_at } => (id, put(Put::Upsert, &body, expires_at)?),
                Operation::Replace { id, body, expires_at, if_match } => {
                    (id, put(Put::Replace { if_match }, &body, expires_at)?)
                }
                Operation::Delete { id, if_match } => (id, Change::Delete { if_match }),
                Operation::Patch { id, patches, if_match } => (id, Change::Patch { patches, if_match }),
            };
            Ok((id, change))
        });
        let changes = changes.collect::<Result<_, StoreError>>()?;
        Ok(Self { key: key.clone(), pk: partition::text(key), changes })
    }

    /// Whether all that it writes is one statement.
    pub(crate) fn is_one_statement(&self, table: &Table) -> bool {
        self.changes.len() == 1 && table.container.vectors.is_empty()
    }

    /// Applies the changes in order; the first that fails ends the batch.
    pub(crate) fn run(
        self,
        connection: &Connection,
        table: &Table,
        ambient: &Ambient,
    ) -> Result<Vec<Written>, StoreError> {
        let now = ambient.now().as_millisecond();
        let writer = Writer { connection, table, ambient, key: &self.key, pk: &self.pk, now };
        let changes = self.changes.into_iter().enumerate();
        changes.map(|(operation, (id, change))| writer.apply(operation, &id, change)).collect()
    }
}

fn vectors(table: &Table, body: &Value) -> Result<Vectors, StoreError> {
    let fields = table.container.vectors.iter();
    let found = fields.filter_map(|field| {
        let vector = coder_database::vector::of_body(body, *field).transpose()?;
        Some(vector.map(|vector| (field.field, vector::to_blob(&vector))))
    });
    found.collect()
}

/// What every statement of a batch needs.
struct Writer<'a> {
    connection: &'a Connection,
    table: &'a Table,
    ambient: &'a Ambient,
    key: &'a PartitionKey,
    pk: &'a str,
    now: i64,
}

impl Writer<'_> {
    fn apply(&self, operation: usize, id: &str, change: Change) -> Result<Written, StoreError> {
        match change {
            Change::Put { mode, text, vectors, expires } => {
                self.put(operation, id, mode, &text, &vectors, expires)
            }
            Change::Delete { if_match } => {
                let parameters = (self.pk, id, self.now, &if_match);
                if self.execute(&self.table.sql.delete, parameters)? == 0 {
                    return Err(self.absent_or_changed(operation, id)?);
                }
                Ok(Written { etag: None, body: None })
            }
            Change::Patch { patches, if_match } => self.patch(operation, id, patches, if_match),
        }
    }

    fn put(
        &self,
        operation: usize,
        id: &str,
        mode: Put,
        text: &str,
        vectors: &Vectors,
        expires: Option<i64>,
    ) -> Result<Written, StoreError> {
        let sql = &self.table.sql;
        let etag = self.ambient.new_etag();
        let parameters = (self.pk, id, &etag, self.now, expires, text);
        match mode {
            Put::Create => {
                if self.execute(&sql.create, parameters)? == 0 {
                    return Err(StoreError::Conflict { operation });
                }
            }
            Put::Upsert => drop(self.execute(&sql.upsert, parameters)?),
            Put::Replace { if_match } => {
                let parameters = (self.pk, id, &etag, self.now, expires, text, if_match);
                if self.execute(&sql.replace, parameters)? == 0 {
                    return Err(self.absent_or_changed(operation, id)?);
                }
            }
        }
        self.put_vectors(id, vectors, expires)?;
        Ok(Written { etag: Some(etag), body: None })
    }

    fn patch(
        &self,
        operation: usize,
        id: &str,
        patches: Vec<Patch>,
        if_match: Option<String>,
    ) -> Result<Written, StoreError> {
        let (etag, text, expires) = self.read(id)?.ok_or(StoreError::NotFound { operation })?;
        if if_match.is_some_and(|wanted| wanted != etag) {
            return Err(StoreError::PreconditionFailed { operation });
        }
        let mut body = parse(&text)?;
        patch::apply(&mut body, patches)?;
        let text = check_document(&self.table.container, self.key, id, &body)?;
        let etag = self.ambient.new_etag();
        self.execute(&self.table.sql.patch, (self.pk, id, &etag, self.now, text))?;
        self.put_vectors(id, &vectors(self.table, &body)?, expires)?;
        Ok(Written { etag: Some(etag), body: Some(body) })
    }

    fn put_vectors(&self, id: &str, vectors: &Vectors, expires: Option<i64>) -> Result<(), StoreError> {
        if self.table.container.vectors.is_empty() {
            return Ok(());
        }
        self.execute(&self.table.sql.delete_vectors, (self.pk, id))?;
        for (field, blob) in vectors {
            self.execute(&self.table.sql.insert_vector, (self.pk, id, field, expires, blob))?;
        }
        Ok(())
    }

    fn read(&self, id: &str) -> Result<Option<(String, String, Option<i64>)>, StoreError> {
        let mut statement = self.connection.prepare_cached(&self.table.sql.read).map_err(from_sqlite)?;
        let row = statement
            .query_row((self.pk, id, self.now), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional();
        row.map_err(from_sqlite)
    }

    /// Why a guarded statement changed nothing.
    fn absent_or_changed(&self, operation: usize, id: &str) -> Result<StoreError, StoreError> {
        Ok(match self.read(id)? {
            None => StoreError::NotFound { operation },
            Some(_) => StoreError::PreconditionFailed { operation },
        })
    }

    fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(from_sqlite)?;
        statement.execute(parameters).map_err(from_sqlite)
    }
}
