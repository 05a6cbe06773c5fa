//! The document store on Cosmos DB, in process, against the emulator inside the SDK's crates.
//!
//! What the emulator cannot do, and who sees to it instead:
//!
//! | the emulator | instead |
//! |---|---|
//! | has no `VectorDistance` | the search's text is tested where it is made; the suite's `search::vectors` is left out |
//! | never removes a document by its `ttl` | the store hides what is over, which the suite tests; `ttl` is tested where it is written |
//! | takes any key or token | nothing here tests authorization |
//! | sorts without composite indexes | the order's text is tested where it is made; an account has to show the rest |
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod differential;
mod faults;
mod sessions;

use crate::doubles::cosmos::subject;
use coder_database::contract::ALIKE;
use coder_database::{Operation, PartitionKey, StoreError};
use serde_json::json;

/// Every case of every provider's suite but those of the table.
mod suite {
    coder_database::contract_tests!(crate::doubles::cosmos::subject; no vectors);
}

/// Fails on the day when the suite's vectors can be searched.
#[tokio::test]
async fn the_emulator_still_has_no_vector_distance() {
    let (subject, key) = (subject().await, PartitionKey::single("p"));
    let body = json!({ "id": "a", "partitionKey": "p", "embedding": vec![1.0; 8] });
    let create = Operation::Create { id: "a".into(), body, expires_at: None };
    subject.store.write(ALIKE, &key, vec![create]).await.unwrap();
    let outcome = subject.store.nearest(ALIKE, &key, "embedding", &[1.0; 8], 1, None).await;
    let Err(StoreError::Invalid { what }) = &outcome else { panic!("{outcome:?}") };
    assert!(what.contains("unknown function: VectorDistance"), "{what}");
}
