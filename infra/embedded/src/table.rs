//! A container as a table: its names in SQL and the statements of point operations. Identifiers are quoted and
//! made only of names that were checked.

use std::collections::BTreeSet;

use coder_database::audit::AuditEntry;
use coder_database::rules::{check_field, key_fields};
use coder_database::{Container, Entity, StoreError};
use data_encoding::HEXLOWER;

use crate::error::invalid;
use crate::key;

/// The field that names a document's type; every container has an index over it, but for audit entries.
pub(crate) const TYPE: &str = "type";

/// A prepared container.
#[derive(Debug)]
pub(crate) struct Table {
    /// The declaration.
    pub(crate) container: Container,
    /// Fields with a generated key column.
    pub(crate) indexed: BTreeSet<&'static str>,
    /// The statements of point operations.
    pub(crate) sql: Statements,
}

/// SQL of point operations; `?1` is the partition, `?2` the id.
#[derive(Debug)]
pub(crate) struct Statements {
    /// `?3` now.
    pub(crate) read: String,
    /// `?3` etag, `?4` now, `?5` expiry, `?6` body. Changes nothing where a live document is.
    pub(crate) create: String,
    /// The same, whatever is there.
    pub(crate) upsert: String,
    /// The same with `?7` the wanted etag or null. Changes nothing where no such live document is.
    pub(crate) replace: String,
    /// `?3` now, `?4` the wanted etag or null.
    pub(crate) delete: String,
    /// `?3` etag, `?4` now, `?5` body; the expiry stays.
    pub(crate) patch: String,
    /// `?1` now, `?2` how many at most.
    pub(crate) sweep: String,
    /// `?3` field, `?4` the document's expiry, `?5` the vector.
    pub(crate) insert_vector: String,
    /// Removes the document's vectors.
    pub(crate) delete_vectors: String,
}

/// What makes a row count: `expiry` is its column, `now` the parameter that holds the time.
pub(crate) fn live(expiry: &str, now: &str) -> String {
    format!("({expiry} IS NULL OR {expiry} > {now})")
}

/// What a row must be to be in the index over types. A statement that is to use the index must say so in the very same
/// words; `table` is the table's name in it with a point, if it has one.
pub(crate) fn listed(table: &str) -> String {
    let audit = HEXLOWER.encode(&key::of_text(AuditEntry::TYPE));
    format!("{table}\"{}\" <> x'{audit}'", column(TYPE))
}

/// The quoted name of a container's table.
pub(crate) fn documents(container: &str) -> String {
    format!("\"c_{container}\"")
}

/// The quoted name of a container's table of vectors.
pub(crate) fn vectors(container: &str) -> String {
    format!("\"v_{container}\"")
}

/// The bare name of a field's generated column.
pub(crate) fn column(field: &str) -> String {
    format!("k_{field}")
}

/// The SQL expression of a field's JSON text.
pub(crate) fn json_expression(field: &str) -> Result<String, StoreError> {
    check_field(field).map(|()| format!("(c.body->'$.{field}')"))
}

impl Table {
    /// Checks the declaration, since its names become SQL.
    pub(crate) fn new(container: &Container) -> Result<Self, StoreError> {
        let name = container.name;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(invalid(format!("`{name}` is no name of a container")));
        }
        if !(1..=3).contains(&container.partition_key.len()) {
            return Err(invalid(format!("the partition key of `{name}` needs one to three levels")));
        }
        key_fields(container).try_for_each(|field| check_field(&field))?;
        let mut indexed = BTreeSet::from([TYPE]);
        for index in &container.indexes {
            if !(1..=2).contains(&index.fields.len()) {
                return Err(invalid(format!("an index of `{name}` needs one or two fields")));
            }
            for field in &index.fields {
                check_field(field)?;
                indexed.insert(*field);
            }
        }
        // SQLite takes names that differ in case for the same.
        let folded: BTreeSet<String> = indexed.iter().map(|field| field.to_ascii_lowercase()).collect();
        if folded.len() < indexed.len() {
            return Err(invalid(format!("indexed fields of `{name}` differ only in case")));
        }
        container.vectors.iter().try_for_each(|vector| check_field(vector.field))?;
        Ok(Self { container: container.clone(), indexed, sql: Statements::new(name) })
    }

    /// The SQL expression of a field's key: its column, or computed. The path becomes SQL, hence the check.
    pub(crate) fn key_expression(&self, field: &str) -> Result<String, StoreError> {
        if self.indexed.contains(field) {
            return Ok(format!("c.\"{}\"", column(field)));
        }
        json_expression(field).map(|json| format!("ck1({json})"))
    }
}

impl Statements {
    fn new(container: &str) -> Self {
        let (table, vectors) = (documents(container), vectors(container));
        let insert = format!(
            "INSERT INTO {table}(pk, id, etag, ts, exp, body) VALUES (?1, ?2, ?3, ?4, ?5, jsonb(?6))
             ON CONFLICT(pk, id) DO UPDATE
             SET etag = excluded.etag, ts = excluded.ts, exp = excluded.exp, body = excluded.body"
        );
        Self {
            read: format!(
                "SELECT etag, json(body), exp FROM {table} WHERE pk = ?1 AND id = ?2 AND {}",
                live("exp", "?3")
            ),
            create: format!("{insert} WHERE exp IS NOT NULL AND exp <= ?4"),
            replace: format!(
                "UPDATE {table} SET etag = ?3, ts = ?4, exp = ?5, body = jsonb(?6)
                 WHERE pk = ?1 AND id = ?2 AND {} AND (?7 IS NULL OR etag = ?7)",
                live("exp", "?4")
            ),
            delete: format!(
                "DELETE FROM {table} WHERE pk = ?1 AND id = ?2 AND {} AND (?4 IS NULL OR etag = ?4)",
                live("exp", "?3")
            ),
            patch: format!(
                "UPDATE {table} SET etag = ?3, ts = ?4, body = jsonb(?5) WHERE pk = ?1 AND id = ?2"
            ),
            sweep: format!(
                "DELETE FROM {table} WHERE n IN (SELECT n FROM {table} WHERE exp <= ?1 ORDER BY exp LIMIT ?2)"
            ),
            insert_vector: format!(
                "INSERT INTO {vectors}(pk, id, field, exp, emb) VALUES (?1, ?2, ?3, ?4, ?5)"
            ),
            delete_vectors: format!("DELETE FROM {vectors} WHERE pk = ?1 AND id = ?2"),
            upsert: insert,
        }
    }
}
