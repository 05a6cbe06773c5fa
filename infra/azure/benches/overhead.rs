//! What the document store costs above the SDK: processor time of one operation, each against the SDK doing the same
//! on the same emulator in this process. `cargo bench -p coder-azure` prints the table.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on has failed")]

use std::time::Duration;

use azure_data_cosmos::clients::{ContainerClient, CosmosClientBuilder};
use azure_data_cosmos::feed::FeedScope;
use azure_data_cosmos::models::TransactionalBatchOperationResult;
use azure_data_cosmos::options::{ItemWriteOptions, MaxItemCountHint, Precondition, QueryOptions};
use azure_data_cosmos::{Query as SdkQuery, TransactionalBatch};
use coder_azure::cosmos::{Connect as _, CosmosStore, DATABASE, Limits};
use coder_core::Ambient;
use coder_database::{Container, Direction, DocumentStore as _, Filter, Operation, PartitionKey, Query};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

#[path = "../tests/doubles/cosmos.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod cosmos;

/// Operations in a row of one kind, and how often the two sides take turns.
const OPERATIONS: u32 = 50;
const ROUNDS: u32 = 8;

/// Both ways to the same documents.
struct Bench {
    store: CosmosStore,
    sdk: ContainerClient,
    made: u32,
}

fn key() -> PartitionKey {
    PartitionKey::single("p")
}

fn document(id: &str) -> Value {
    let text = "a text as long as that of a usual description, give or take a few words";
    json!({ "id": id, "partitionKey": "p", "type": "note", "createdAt": id, "title": text, "tags": ["a", "b"], "size": 7 })
}

/// Processor time of this thread, on which everything runs.
fn spent() -> Duration {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(line.split(' ').next().unwrap().parse().unwrap())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let containers = [Container::new("notes")];
    let emulator = cosmos::Emulator::with(&containers);
    let store = emulator.store(&containers, Limits::default(), Vec::new(), Ambient::system()).await;
    let client = emulator.reached_as(None).connect(CosmosClientBuilder::new()).await.unwrap();
    let sdk = client.database_client(DATABASE).container_client("notes", None).await.unwrap();
    let mut bench = Bench { store, sdk, made: 0 };
    for _ in 0..40 {
        bench.create().await;
    }
    println!("{:<28} {:>10} {:>10} {:>7}", "operation", "SDK µs", "store µs", "ratio");
    for kind in ["read", "create", "replace, guarded", "batch of four", "page of twenty"] {
        let mut totals = [Duration::ZERO; 2];
        // The first round warms up.
        for round in 0..=ROUNDS {
            for (side, total) in totals.iter_mut().enumerate() {
                let spent = bench.row(kind, side == 0).await;
                *total += if round == 0 { Duration::ZERO } else { spent };
            }
        }
        let [sdk, store] = totals.map(|total| total.as_secs_f64() * 1e6 / f64::from(OPERATIONS * ROUNDS));
        println!("{kind:<28} {sdk:>10.1} {store:>10.1} {:>7.2}", store / sdk);
    }
}

impl Bench {
    /// The time of a row of operations.
    async fn row(&mut self, kind: &str, bare: bool) -> Duration {
        let mut total = Duration::ZERO;
        for _ in 0..OPERATIONS {
            // What is changed is made afresh, outside of the measured time.
            let (id, etag) = if kind.starts_with("replace") {
                self.create().await
            } else {
                ("0000001".into(), String::new())
            };
            self.made += 4;
            let ids: Vec<String> = (self.made - 3..=self.made).map(|number| format!("{number:07}")).collect();
            let began = spent();
            match (kind, bare) {
                ("read", true) => {
                    let answer = self.sdk.read_item("p", &id, None).await.unwrap();
                    let _document: Value = answer.into_model().unwrap();
                }
                ("read", false) => drop(self.store.read("notes", &key(), &id).await.unwrap().unwrap()),
                ("create", true) => {
                    self.sdk.create_item("p", &ids[0], &document(&ids[0]), None).await.unwrap();
                }
                ("create", false) => drop(self.write(vec![create(&ids[0])]).await),
                ("replace, guarded", true) => {
                    let guard = ItemWriteOptions::default().with_precondition(Precondition::if_match(
                        etag.rsplit_once('@').map_or(etag.clone(), |(etag, _)| etag.to_owned()),
                    ));
                    self.sdk.replace_item("p", &id, &document(&id), Some(guard)).await.unwrap();
                }
                ("replace, guarded", false) => {
                    let (body, if_match) = (document(&id), Some(etag));
                    drop(self.write(vec![Operation::Replace { id, body, expires_at: None, if_match }]).await);
                }
                ("batch of four", true) => self.bare_batch(&ids).await,
                ("batch of four", false) => drop(self.write(ids.iter().map(|id| create(id)).collect()).await),
                (_, true) => self.bare_page().await,
                (_, false) => {
                    let query =
                        Query::new(Filter::of_type("note")).order_by("createdAt", Direction::Ascending);
                    let page = self.store.query("notes", &key(), &query.limit(20)).await.unwrap();
                    assert_eq!(page.items.len(), 20);
                }
            }
            total += spent().saturating_sub(began);
            if matches!(kind, "create" | "batch of four") || kind.starts_with("replace") {
                self.tidy(kind, &ids).await;
            }
        }
        total
    }

    async fn create(&mut self) -> (String, String) {
        self.made += 1;
        let id = format!("{:07}", self.made);
        let written = self.write(vec![create(&id)]).await;
        (id, written)
    }

    async fn write(&self, operations: Vec<Operation>) -> String {
        let mut written = self.store.write("notes", &key(), operations).await.unwrap();
        written.remove(0).etag.unwrap_or_default()
    }

    /// Removes what was made, so that the emulator, which reads everything for a page, does not slow down.
    async fn tidy(&mut self, kind: &str, ids: &[String]) {
        let last = format!("{:07}", self.made - 4);
        let made: Vec<&str> = match kind {
            "create" => vec![&ids[0]],
            "batch of four" => ids.iter().map(String::as_str).collect(),
            _ => vec![&last],
        };
        let delete = |id: &str| Operation::Delete { id: id.to_owned(), if_match: None };
        self.write(made.into_iter().map(delete).collect()).await;
    }

    async fn bare_batch(&self, ids: &[String]) {
        let batch =
            ids.iter().try_fold(TransactionalBatch::new("p"), |batch, id| batch.create_item(document(id)));
        let answer = self.sdk.execute_transactional_batch(batch.unwrap(), None).await.unwrap();
        assert!(
            answer.into_model().unwrap().results().iter().all(TransactionalBatchOperationResult::is_success)
        );
    }

    async fn bare_page(&self) {
        let text =
            "SELECT TOP 21 * FROM c WHERE c.type = @type ORDER BY c.type ASC, c.createdAt ASC, c.id ASC";
        let query = SdkQuery::from(text).with_parameter("@type", "note").unwrap();
        let options =
            QueryOptions::default().with_max_item_count(MaxItemCountHint::Limit(21.try_into().unwrap()));
        let pages =
            self.sdk.query_items::<Value>(query, FeedScope::partition("p"), Some(options)).await.unwrap();
        let found: Vec<Value> = pages.try_collect().await.unwrap();
        assert_eq!(found.len(), 21);
    }
}

fn create(id: &str) -> Operation {
    Operation::Create { id: id.to_owned(), body: document(id), expires_at: None }
}
