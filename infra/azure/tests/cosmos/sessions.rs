//! Who has written sees it, also where the other regions have not heard of it yet.

use coder_azure::cosmos::Limits;
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::contract::{self, PLAIN};
use coder_database::{DocumentStore as _, Filter, Operation, PartitionKey, Query};
use serde_json::json;

use crate::doubles::cosmos::Emulator;

#[tokio::test]
async fn a_process_reads_its_own_writes_where_replication_lags() {
    let (containers, key) = (contract::containers(), PartitionKey::single("p"));
    let ambient = Ambient::new(ManualClock::at(contract::start()), OsEntropy);
    let emulator = Emulator::lagging(&containers);
    let [writer, other] =
        [(); 2].map(|()| emulator.store(&containers, Limits::default(), Vec::new(), ambient.clone()));
    let (writer, other) = (writer.await, other.await);
    for x in 1..=3 {
        let body = json!({ "id": "a", "partitionKey": "p", "x": x });
        writer
            .write(PLAIN, &key, vec![Operation::Upsert { id: "a".into(), body, expires_at: None }])
            .await
            .unwrap();
        let read = writer.read(PLAIN, &key, "a").await.unwrap().unwrap();
        assert_eq!(read.body["x"], x);
        let found = writer.query(PLAIN, &key, &Query::new(Filter::eq("x", x))).await.unwrap();
        assert_eq!(found.items.len(), 1, "{x}");
        // It is the session that shows it: who has none looks where it has not arrived.
        assert_eq!(other.read(PLAIN, &key, "a").await.unwrap(), None);
    }
    emulator.follow().await;
    assert_eq!(other.read(PLAIN, &key, "a").await.unwrap().unwrap().body["x"], 3);
}
