//! The tables of the document file: making them, and extending them when a declaration has grown. No document is
//! ever dropped here.

use std::collections::BTreeMap;
use std::path::Path;

use coder_database::{StoreError, VectorField};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::error::{from_sqlite, invalid, unavailable};
use crate::open::OpenError;
use crate::table::{TYPE, Table, column, documents, listed, vectors};
use crate::vector;

/// The version of everything in this file and of [`crate::key`].
const SCHEMA: i64 = 1;

/// Makes the file's own table, and refuses a file of a later program.
pub(crate) fn create(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > SCHEMA {
        return Err(OpenError::SchemaNewer { path: path.to_owned(), found, known: SCHEMA });
    }
    connection
        .execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS containers(name TEXT PRIMARY KEY, keys TEXT NOT NULL, vectors TEXT NOT NULL);
             PRAGMA user_version = {SCHEMA};"
        ))
        .map_err(sqlite)
}

/// Makes a container's tables, columns and indexes where they are missing.
pub(crate) fn prepare(connection: &Connection, table: &Table) -> Result<(), StoreError> {
    let container = &table.container;
    let declared = json!(container.partition_key).to_string();
    let stored = stored_declaration(connection, container.name)?;
    if let Some((keys, _)) = &stored
        && *keys != declared
    {
        let what = format!("`{}` is partitioned by {keys} in this file, not by {declared}", container.name);
        return Err(invalid(what));
    }
    create_tables(connection, container.name).map_err(from_sqlite)?;
    create_vectors(connection, container.name).map_err(from_sqlite)?;
    add_columns(connection, table).map_err(from_sqlite)?;
    index_types(connection, container.name).map_err(from_sqlite)?;
    for index in &container.indexes {
        let keys = index.fields.iter().map(|field| format!("\"{}\"", column(field)));
        let keys = keys.collect::<Vec<_>>().join(", ");
        let (name, on) = (index.fields.join("+"), documents(container.name));
        let first = index.fields.first().map(|field| column(field)).unwrap_or_default();
        // Without what lacks the field, such as audit entries and events: no query finds those by it, and every
        // write would pay for them in every index.
        connection
            .execute_batch(&format!(
                "CREATE INDEX IF NOT EXISTS \"i_{}:{name}\" ON {on}(pk, {keys}, id) WHERE \"{first}\" IS NOT NULL",
                container.name
            ))
            .map_err(from_sqlite)?;
    }
    let known: BTreeMap<String, u32> = match &stored {
        Some((_, text)) => serde_json::from_str(text).map_err(|cause| unavailable(cause.to_string()))?,
        None => BTreeMap::new(),
    };
    let now = container.vectors.iter().map(|vector| (vector.field.to_owned(), vector.dimensions)).collect();
    if known == now && stored.is_some() {
        return Ok(());
    }
    for vector in
        container.vectors.iter().filter(|vector| known.get(vector.field) != Some(&vector.dimensions))
    {
        fill_vectors(connection, table, *vector)?;
    }
    let sql = "INSERT INTO containers(name, keys, vectors) VALUES (?1, ?2, ?3)
               ON CONFLICT(name) DO UPDATE SET vectors = excluded.vectors";
    connection.execute(sql, (container.name, declared, json!(now).to_string())).map_err(from_sqlite)?;
    Ok(())
}

/// The partition key and the vector fields, as they were declared last.
fn stored_declaration(connection: &Connection, name: &str) -> Result<Option<(String, String)>, StoreError> {
    let sql = "SELECT keys, vectors FROM containers WHERE name = ?1";
    match connection.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))) {
        Ok(found) => Ok(Some(found)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(from_sqlite(error)),
    }
}

/// The table keeps its rowid: without one, documents would spill to overflow pages.
fn create_tables(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let table = documents(name);
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {table}(
           n INTEGER PRIMARY KEY, pk TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, ts INTEGER NOT NULL,
           exp INTEGER, body BLOB NOT NULL, UNIQUE(pk, id));
         CREATE INDEX IF NOT EXISTS \"x_{name}\" ON {table}(exp) WHERE exp IS NOT NULL;"
    ))
}

/// A row of vectors is never updated, and its number never comes again: so those who keep copies know what is new.
/// The index ends with the number, as every index does.
fn create_vectors(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let (table, vectors) = (documents(name), vectors(name));
    let of_old = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'v_' || ?1
                  AND sql NOT LIKE '%AUTOINCREMENT%'";
    let of_old = connection.query_row(of_old, [name], |row| row.get::<_, i64>(0))? > 0;
    if of_old {
        connection.execute_batch(&format!(
            "DROP TRIGGER \"d_{name}\"; ALTER TABLE {vectors} RENAME TO \"o_{name}\";"
        ))?;
    }
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {vectors}(
           n INTEGER PRIMARY KEY AUTOINCREMENT, pk TEXT NOT NULL, id TEXT NOT NULL, field TEXT NOT NULL,
           exp INTEGER, emb BLOB NOT NULL, UNIQUE(pk, id, field));
         CREATE INDEX IF NOT EXISTS \"s_{name}\" ON {vectors}(pk, field);
         CREATE TRIGGER IF NOT EXISTS \"d_{name}\" AFTER DELETE ON {table} BEGIN
           DELETE FROM {vectors} WHERE pk = OLD.pk AND id = OLD.id; END;"
    ))?;
    if of_old {
        connection.execute_batch(&format!(
            "INSERT INTO {vectors} SELECT * FROM \"o_{name}\"; DROP TABLE \"o_{name}\";"
        ))?;
    }
    Ok(())
}

fn add_columns(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    let name = documents(table.container.name);
    let mut statement = connection.prepare(&format!("PRAGMA table_xinfo({name})"))?;
    let present: Vec<String> = statement.query_map([], |row| row.get(1))?.collect::<Result<_, _>>()?;
    for field in &table.indexed {
        let column = column(field);
        if !present.contains(&column) {
            connection.execute_batch(&format!(
                "ALTER TABLE {name} ADD COLUMN \"{column}\" BLOB GENERATED ALWAYS AS (ck1(body->'$.{field}')) VIRTUAL"
            ))?;
        }
    }
    Ok(())
}

/// What is of one type in the whole container: the platform looks for its own documents so, such as events that
/// wait, in every container and every few seconds. The order is that of a read without one. Audit entries, of which
/// every write makes one, are not in it: nobody looks for them by their type. An older program's index had them.
fn index_types(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let (table, column, listed) = (documents(name), column(TYPE), listed(""));
    connection.execute_batch(&format!(
        "DROP INDEX IF EXISTS \"t_{name}\";
         CREATE INDEX IF NOT EXISTS \"y_{name}\" ON {table}(\"{column}\", pk, id) WHERE {listed}"
    ))
}

/// Makes the vectors of a new field from the documents that are there. What holds no proper vector has none.
fn fill_vectors(connection: &Connection, table: &Table, field: VectorField) -> Result<(), StoreError> {
    let name = table.container.name;
    let clear = format!("DELETE FROM {} WHERE field = ?1", vectors(name));
    connection.execute(&clear, [field.field]).map_err(from_sqlite)?;
    let all = format!("SELECT pk, id, exp, json(body) FROM {}", documents(name));
    let mut statement = connection.prepare(&all).map_err(from_sqlite)?;
    let mut rows = statement.query([]).map_err(from_sqlite)?;
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let read = || {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get::<_, String>(3)?))
        };
        let (pk, id, expires, text): (_, _, Option<i64>, _) = read().map_err(from_sqlite)?;
        let body: Value = serde_json::from_str(&text).map_err(|cause| unavailable(cause.to_string()))?;
        match coder_database::vector::of_body(&body, field) {
            Ok(Some(unit)) => {
                let row = (&pk, &id, field.field, expires, vector::to_blob(&unit));
                connection.execute(&table.sql.insert_vector, row).map_err(from_sqlite)?;
            }
            Ok(None) => {}
            Err(_) => {
                tracing::warn!(container = name, id, field = field.field, "no vector of the right size");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use coder_database::Container;

    use super::*;

    #[test]
    fn the_index_over_types_of_an_older_program_gives_way() {
        let connection = Connection::open_in_memory().unwrap();
        crate::key::register(&connection).unwrap();
        create(&connection, Path::new("")).unwrap();
        let table = Table::new(&Container::new("c")).unwrap();
        prepare(&connection, &table).unwrap();
        connection.execute_batch("DROP INDEX y_c; CREATE INDEX t_c ON c_c(k_type, pk, id)").unwrap();
        prepare(&connection, &table).unwrap();
        let sql =
            "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'index' AND name IN ('t_c', 'y_c')";
        assert_eq!(connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "y_c");
    }
}
