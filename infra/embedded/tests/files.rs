//! The file: what stops it from being opened, what a later declaration adds, and several processes on it.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use coder_core::Ambient;
use coder_database::{
    Container, Direction, DocumentStore, Filter, Operation, PartitionKey, Patch, Query, StoreError,
};
use coder_embedded::{OpenError, Options, SqliteStore, Synchronous};
use rusqlite::Connection;
use serde_json::{Value, json};

fn try_open(directory: &Path) -> Result<SqliteStore, OpenError> {
    let options = Options { lock_timeout: Duration::from_millis(50), ..Options::default() };
    SqliteStore::open(directory, &options, Ambient::system())
}

fn refused(directory: &Path) -> OpenError {
    try_open(directory).map(drop).unwrap_err()
}

fn key() -> PartitionKey {
    PartitionKey::single("p")
}

fn put(id: &str, mut body: Value) -> Operation {
    body["id"] = json!(id);
    body["partitionKey"] = json!("p");
    Operation::Upsert { id: id.into(), body, expires_at: None }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(&file.join("data"));
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error:?}");
    assert!(error.to_string().contains("choose another data directory"), "{error}");
    // A directory where the database should be.
    fs::create_dir_all(directory.path().join("data/docs.db")).unwrap();
    let error = refused(&directory.path().join("data"));
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("docs.db");
    let text = "This is a letter, no database. ".repeat(500);
    fs::write(&path, &text).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("file is not a database"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn damage_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path()).unwrap();
    store.prepare(&[Container::new("c").index(["x"])]).await.unwrap();
    for at in 0..5 {
        let batch =
            (0..100).map(|id| put(&format!("{at}-{id}"), json!({ "x": id, "text": "y".repeat(500) })));
        store.write("c", &key(), batch.collect()).await.unwrap();
    }
    store.check().await.unwrap();
    drop(store);
    let path = directory.path().join("docs.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    let found = match try_open(directory.path()) {
        Ok(store) => store.check().await.is_err(),
        Err(error) => matches!(error, OpenError::Corrupt { .. }),
    };
    assert!(found);
}

#[test]
fn a_file_that_another_process_holds_is_not_waited_for_without_end() {
    let directory = tempfile::tempdir().unwrap();
    drop(try_open(directory.path()).unwrap());
    let lock = File::options().write(true).open(directory.path().join("docs.wlock")).unwrap();
    lock.lock().unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    lock.unlock().unwrap();
    let other = Connection::open(directory.path().join("docs.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(try_open(directory.path()).is_ok());
}

#[tokio::test]
async fn a_writer_that_another_program_blocks_is_throttled() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path()).unwrap();
    store.prepare(&[Container::new("c")]).await.unwrap();
    let other = Connection::open(directory.path().join("docs.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = store.write("c", &key(), vec![put("a", json!({}))]).await;
    assert!(matches!(outcome, Err(StoreError::Throttled { .. })), "{outcome:?}");
    assert_eq!(store.read("c", &key(), "a").await, Ok(None), "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(store.write("c", &key(), vec![put("a", json!({}))]).await.is_ok());
}

#[tokio::test]
async fn a_process_that_is_frozen_in_its_turn_holds_up_nobody_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path()).unwrap();
    store.prepare(&[Container::new("c")]).await.unwrap();
    let frozen = File::options().write(true).open(directory.path().join("docs.wlock")).unwrap();
    frozen.lock().unwrap();
    for id in ["a", "b", "c"] {
        let key = key();
        let write = store.write("c", &key, vec![put(id, json!({}))]);
        let written = tokio::time::timeout(Duration::from_secs(10), write).await;
        assert!(written.is_ok_and(|outcome| outcome.is_ok()), "{id}");
    }
    drop(frozen);
    assert!(store.write("c", &key(), vec![put("d", json!({}))]).await.is_ok());
}

#[test]
fn a_file_of_a_later_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(try_open(directory.path()).unwrap());
    let other = Connection::open(directory.path().join("docs.db")).unwrap();
    other.execute_batch("PRAGMA user_version = 99").unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::SchemaNewer { found: 99, known: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let full = Options { synchronous: Synchronous::Full, ..Options::default() };
    let store = SqliteStore::open(directory.path(), &full, Ambient::system()).unwrap();
    store.prepare(&[Container::new("c")]).await.unwrap();
    store.write("c", &key(), vec![put("a", json!({ "x": 1 }))]).await.unwrap();
    drop(store);
    let left: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "a clean close leaves the database and its lock file: {left:?}");
    let store = try_open(directory.path()).unwrap();
    store.prepare(&[Container::new("c")]).await.unwrap();
    assert_eq!(store.read("c", &key(), "a").await.unwrap().unwrap().body["x"], 1);
}

#[tokio::test]
async fn a_later_declaration_adds_indexes_and_vectors_to_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path()).unwrap();
    store.prepare(&[Container::new("c")]).await.unwrap();
    let documents = vec![
        put("a", json!({ "status": "open", "v": [1, 0] })),
        put("b", json!({ "status": "done", "v": [0, 1] })),
        put("c", json!({ "v": [1] })),
    ];
    store.write("c", &key(), documents).await.unwrap();
    drop(store);
    let store = try_open(directory.path()).unwrap();
    let later = Container::new("c").index(["status"]).index(["scope.id", "status"]).vector("v", 2);
    for _ in 0..2 {
        store.prepare(std::slice::from_ref(&later)).await.unwrap();
    }
    let query = Query::new(None).order_by("status", Direction::Ascending);
    let page = store.query("c", &key(), &query).await.unwrap();
    assert_eq!(page.items.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    let found = store.nearest("c", &key(), "v", &[0.0, 1.0], 9, None).await.unwrap();
    assert_eq!(found.iter().map(|(found, _)| found.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    store.check().await.unwrap();
    // The declaration of an older program still works on the newer file.
    store.prepare(&[Container::new("c")]).await.unwrap();
    assert!(store.query("c", &key(), &Query::new(Filter::eq("status", "open"))).await.is_ok());
}

#[tokio::test]
async fn the_vectors_of_an_older_program_are_found_and_kept_up() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path()).unwrap();
    let container = [Container::new("c").vector("v", 2)];
    store.prepare(&container).await.unwrap();
    let documents = vec![put("a", json!({ "v": [1, 0] })), put("b", json!({ "v": [0, 1] }))];
    store.write("c", &key(), documents).await.unwrap();
    drop(store);
    let file = Connection::open(directory.path().join("docs.db")).unwrap();
    file.execute_batch(
        "DROP TRIGGER d_c; CREATE TABLE old AS SELECT * FROM v_c; DROP TABLE v_c;
         CREATE TABLE v_c(
           n INTEGER PRIMARY KEY, pk TEXT NOT NULL, id TEXT NOT NULL, field TEXT NOT NULL, exp INTEGER,
           emb BLOB NOT NULL, UNIQUE(pk, id, field));
         CREATE TRIGGER d_c AFTER DELETE ON c_c BEGIN DELETE FROM v_c WHERE pk = OLD.pk AND id = OLD.id; END;
         INSERT INTO v_c SELECT * FROM old; DROP TABLE old;",
    )
    .unwrap();
    drop(file);
    let store = try_open(directory.path()).unwrap();
    for _ in 0..2 {
        store.prepare(&container).await.unwrap();
    }
    let nearest = async || {
        let found = store.nearest("c", &key(), "v", &[0.0, 1.0], 9, None).await.unwrap();
        found.into_iter().map(|(found, _)| found.id).collect::<Vec<_>>()
    };
    assert_eq!(nearest().await, ["b", "a"]);
    // The newest goes and another comes: its row must be a new one.
    let delete = Operation::Delete { id: "b".into(), if_match: None };
    store.write("c", &key(), vec![delete]).await.unwrap();
    store.write("c", &key(), vec![put("d", json!({ "v": [1, 1] }))]).await.unwrap();
    assert_eq!(nearest().await, ["d", "a"]);
    store.check().await.unwrap();
}

#[tokio::test]
async fn declarations_that_make_no_sense_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path()).unwrap();
    store.prepare(&[Container::new("c")]).await.unwrap();
    let senseless = [
        Container::new("c").partition_key(["/organizationId"]),
        Container::new("C"),
        Container::new("a\"b"),
        Container::new(""),
        Container::new("d").index(["a'b"]),
        Container::new("d").index(["a", "b", "c"]),
        Container::new("d").index(["name"]).index(["Name"]),
        Container::new("d").partition_key(["/a", "/b", "/c", "/d"]),
        Container::new("d").vector("a b", 3),
    ];
    for container in senseless {
        let outcome = store.prepare(std::slice::from_ref(&container)).await;
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{container:?}: {outcome:?}");
    }
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new");
    let open = || SqliteStore::open(&path, &Options::default(), Ambient::system()).map(drop);
    thread::scope(|scope| {
        let started: Vec<_> = (0..22).map(|_| scope.spawn(open)).collect();
        for thread in started {
            thread.join().unwrap().unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_see_each_other_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = Vec::new();
    for _ in 0..2 {
        let store = SqliteStore::open(directory.path(), &Options::default(), Ambient::system()).unwrap();
        store.prepare(&[Container::new("c")]).await.unwrap();
        stores.push(Arc::new(store));
    }
    stores[0].write("c", &key(), vec![put("a", json!({ "count": 0 }))]).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let store = Arc::clone(&stores[task % 2]);
        tasks.spawn(async move {
            for _ in 0..25 {
                let add = Patch::Increment { field: "count".into(), by: 1 };
                let patch = Operation::Patch { id: "a".into(), patches: vec![add], if_match: None };
                store.write("c", &key(), vec![patch]).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    for store in &stores {
        assert_eq!(store.read("c", &key(), "a").await.unwrap().unwrap().body["count"], 400);
    }
}
