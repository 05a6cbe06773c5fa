//! Removing what is over.

use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::{Container, DocumentStore, Operation, PartitionKey, Query, contract};
use coder_embedded::{Options, SqliteStore};
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test]
async fn a_sweep_removes_what_is_over_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(contract::start());
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let store = SqliteStore::open(directory.path(), &Options::default(), ambient).unwrap();
    let containers = [Container::new("a").vector("v", 2), Container::new("b")];
    store.prepare(&containers).await.unwrap();
    let key = PartitionKey::single("p");
    let end = |seconds| Some(contract::start() + SignedDuration::from_secs(seconds));
    let document = |id: String, expires_at| {
        let body = json!({ "partitionKey": "p", "id": id, "v": [1, 1] });
        Operation::Create { id, body, expires_at }
    };
    for slice in 0..12 {
        // More than two steps of a sweep.
        let batch = (0..100).map(|at| document(format!("{slice}-{at}"), end(10)));
        store.write("a", &key, batch.collect()).await.unwrap();
    }
    let rest = vec![document("later".into(), end(99)), document("never".into(), None)];
    store.write("a", &key, rest.clone()).await.unwrap();
    store.write("b", &key, vec![document("over".into(), end(1))]).await.unwrap();
    assert_eq!(store.sweep().await, Ok(0));
    clock.advance(SignedDuration::from_secs(10));
    assert_eq!(store.sweep().await, Ok(1201));
    assert_eq!(store.sweep().await, Ok(0));
    let page = store.query("a", &key, &Query::new(None)).await.unwrap();
    assert_eq!(page.items.len(), 2);
    drop(store);
    let file = rusqlite::Connection::open(directory.path().join("docs.db")).unwrap();
    for (table, rows) in [("c_a", 2), ("v_a", 2), ("c_b", 0), ("v_b", 0)] {
        let sql = format!("SELECT count(*) FROM {table}");
        assert_eq!(file.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(), rows, "{table}");
    }
}
