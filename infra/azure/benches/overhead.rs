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
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

#[path = "../tests/doubles/cosmos.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod cosmos;

/// Operations in a row of one side.
const OPERATIONS: u32 = 50;
/// How often the two sides take turns; the first turn warms up. Medians count.
const ROUNDS: usize = 41;
/// What the store may cost of what the SDK does.
const AIM: f64 = 1.15;

/// Documents that stay, for reading.
const KEPT: &str = "kept";
/// Documents that come and go: the emulator copies all of a container for a batch.
const PASSING: &str = "passing";

#[derive(Debug, Clone, Copy)]
enum Kind {
    Read,
    Create,
    Replace,
    Batch,
    Page,
}

impl Kind {
    const ALL: [(Self, &str); 5] = [
        (Self::Read, "a document read"),
        (Self::Create, "a document created"),
        (Self::Replace, "a document replaced, guarded"),
        (Self::Batch, "a batch of four creates"),
        (Self::Page, "a page of twenty of forty"),
    ];
}

/// Both ways to the same documents.
struct Bench {
    store: CosmosStore,
    kept: ContainerClient,
    passing: ContainerClient,
    made: u32,
}

/// What one operation is done to: fresh ids, and the tag of the first of them if it is there already.
struct Given {
    ids: Vec<String>,
    etag: String,
}

fn key() -> PartitionKey {
    PartitionKey::single("p")
}

fn document(id: &str) -> Value {
    let text = "a text as long as that of a usual description, give or take a few words";
    json!({ "id": id, "partitionKey": "p", "type": "note", "createdAt": id, "title": text, "tags": ["a", "b"], "size": 7 })
}

fn create(id: &str) -> Operation {
    Operation::Create { id: id.to_owned(), body: document(id), expires_at: None }
}

/// Processor time of this thread, on which everything runs.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let containers = [Container::new(KEPT), Container::new(PASSING)];
    let emulator = cosmos::Emulator::with(&containers);
    let store = emulator.store(&containers, Limits::default(), Vec::new(), Ambient::system()).await;
    let client = emulator.reached_as(None).connect(CosmosClientBuilder::new()).await.unwrap();
    let database = client.database_client(DATABASE);
    let (kept, passing) =
        (database.container_client(KEPT, None).await, database.container_client(PASSING, None).await);
    let mut bench = Bench { store, kept: kept.unwrap(), passing: passing.unwrap(), made: 0 };
    for number in 0..40 {
        bench.store.write(KEPT, &key(), vec![create(&format!("{number:07}"))]).await.unwrap();
    }
    println!("| {:<30} | {:>13} | {:>17} | {:>14} | aim |", "what", "ours", "peer", "figure");
    for (kind, name) in Kind::ALL {
        let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            // A B, B A: whoever comes second finds warmer caches.
            let first = bench.row(kind, round % 2 == 0).await;
            let second = bench.row(kind, round % 2 != 0).await;
            let (own, sdk) = if round % 2 == 0 { (first, second) } else { (second, first) };
            if round > 0 {
                ours.push(own);
                bare.push(sdk);
                ratios.push(own / sdk);
            }
        }
        let (ours, bare, ratio) = (median(ours), median(bare), median(ratios));
        let verdict = if ratio <= AIM { "met" } else { "MISSED" };
        println!(
            "| {name:<30} | {ours:>6.0} µs CPU | the SDK {bare:>5.0} µs CPU | {ratio:.2} × its CPU | ≤ {AIM} × its CPU: {verdict} |"
        );
    }
}

impl Bench {
    /// Processor time of one operation, in microseconds, over a row of them.
    async fn row(&mut self, kind: Kind, ours: bool) -> f64 {
        let mut given = Vec::new();
        for _ in 0..OPERATIONS {
            given.push(self.prepare(kind).await);
        }
        let began = spent();
        for given in &given {
            if ours {
                self.own(kind, given).await;
            } else {
                self.bare(kind, given).await;
            }
        }
        let total = spent().saturating_sub(began);
        for given in &given {
            self.tidy(kind, given).await;
        }
        total.as_secs_f64() * 1e6 / f64::from(OPERATIONS)
    }

    async fn prepare(&mut self, kind: Kind) -> Given {
        self.made += 4;
        let ids: Vec<String> = (self.made - 3..=self.made).map(|number| format!("{number:07}")).collect();
        let etag = match kind {
            Kind::Replace => self.write(vec![create(&ids[0])]).await,
            _ => String::new(),
        };
        Given { ids, etag }
    }

    async fn own(&self, kind: Kind, Given { ids, etag }: &Given) {
        match kind {
            Kind::Read => drop(self.store.read(KEPT, &key(), "0000001").await.unwrap().unwrap()),
            Kind::Create => drop(self.write(vec![create(&ids[0])]).await),
            Kind::Replace => {
                let (id, body, if_match) = (ids[0].clone(), document(&ids[0]), Some(etag.clone()));
                drop(self.write(vec![Operation::Replace { id, body, expires_at: None, if_match }]).await);
            }
            Kind::Batch => drop(self.write(ids.iter().map(|id| create(id)).collect()).await),
            Kind::Page => {
                let query = Query::new(Filter::of_type("note")).order_by("createdAt", Direction::Ascending);
                let page = self.store.query(KEPT, &key(), &query.limit(20)).await.unwrap();
                assert_eq!(page.items.len(), 20);
            }
        }
    }

    async fn bare(&self, kind: Kind, Given { ids, etag }: &Given) {
        match kind {
            Kind::Read => {
                let answer = self.kept.read_item("p", "0000001", None).await.unwrap();
                let _document: Value = answer.into_model().unwrap();
            }
            Kind::Create => {
                self.passing.create_item("p", &ids[0], &document(&ids[0]), None).await.unwrap();
            }
            Kind::Replace => {
                // The store's own tag is the service's and what it adds.
                let etag = etag.rsplit_once('@').map_or(etag.as_str(), |(etag, _)| etag).to_owned();
                let guard = ItemWriteOptions::default().with_precondition(Precondition::if_match(etag));
                self.passing.replace_item("p", &ids[0], &document(&ids[0]), Some(guard)).await.unwrap();
            }
            Kind::Batch => self.bare_batch(ids).await,
            Kind::Page => self.bare_page().await,
        }
    }

    async fn write(&self, operations: Vec<Operation>) -> String {
        let mut written = self.store.write(PASSING, &key(), operations).await.unwrap();
        written.remove(0).etag.unwrap_or_default()
    }

    /// Removes what was made, so that the next row finds what this one found.
    async fn tidy(&self, kind: Kind, Given { ids, .. }: &Given) {
        let made = match kind {
            Kind::Read | Kind::Page => return,
            Kind::Create | Kind::Replace => &ids[..1],
            Kind::Batch => ids,
        };
        let delete = |id: &String| Operation::Delete { id: id.clone(), if_match: None };
        self.write(made.iter().map(delete).collect()).await;
    }

    async fn bare_batch(&self, ids: &[String]) {
        let batch =
            ids.iter().try_fold(TransactionalBatch::new("p"), |batch, id| batch.create_item(document(id)));
        let answer = self.passing.execute_transactional_batch(batch.unwrap(), None).await.unwrap();
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
            self.kept.query_items::<Value>(query, FeedScope::partition("p"), Some(options)).await.unwrap();
        let found: Vec<Value> = pages.try_collect().await.unwrap();
        assert_eq!(found.len(), 21);
    }
}
