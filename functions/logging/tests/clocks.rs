//! Processes whose clocks stand on either side of midnight on the last of a month.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coder_config::Settings;
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::{
    Container, Document, DocumentStore, Filter, Operation, Page, PartitionKey, Query, StoreError, Written,
};
use coder_handler::functions::Outcome;
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot::{Sender, channel};

/// Says that somebody waits, and how to let them go on.
type Ask = Sender<Sender<()>>;

/// A store that lets another process go first, once, where a head would be created.
#[derive(Debug)]
struct Late {
    store: Arc<dyn DocumentStore>,
    meanwhile: Arc<Mutex<Option<Ask>>>,
}

#[async_trait]
impl DocumentStore for Late {
    async fn prepare(&self, containers: &[Container]) -> Result<(), StoreError> {
        self.store.prepare(containers).await
    }

    async fn read(
        &self,
        container: &str,
        key: &PartitionKey,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.store.read(container, key, id).await
    }

    async fn write(
        &self,
        container: &str,
        key: &PartitionKey,
        operations: Vec<Operation>,
    ) -> Result<Vec<Written>, StoreError> {
        let begins = |one: &Operation| matches!(one, Operation::Create { id, .. } if id == "head");
        if container == "logging" && operations.iter().any(begins) {
            let asked = self.meanwhile.lock().unwrap().take();
            if let Some(asked) = asked {
                let (done, wait) = channel();
                asked.send(done).unwrap();
                wait.await.unwrap();
            }
        }
        self.store.write(container, key, operations).await
    }

    async fn query(&self, container: &str, key: &PartitionKey, query: &Query) -> Result<Page, StoreError> {
        self.store.query(container, key, query).await
    }

    async fn query_across(&self, container: &str, query: &Query) -> Result<Page, StoreError> {
        self.store.query_across(container, query).await
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
        self.store.nearest(container, key, field, vector, top, filter).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// Two processes with one store, which alone run this group: the clock of one is behind the other's.
struct Two {
    behind: Assembly,
    ahead: Assembly,
    meanwhile: Arc<Mutex<Option<Ask>>>,
    organization: String,
    _directory: TempDir,
}

impl Two {
    async fn start(behind: &str, ahead: &str) -> Self {
        let (directory, meanwhile) = (tempfile::tempdir().unwrap(), Arc::default());
        let open = |time: &str| {
            let ambient = Ambient::new(ManualClock::at(time.parse().unwrap()), OsEntropy);
            Providers::open(Settings::for_tests(directory.path()), ambient).unwrap()
        };
        let start = async |providers| {
            let groups = vec![coder_logging::route_group()];
            Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap()
        };
        let (mut first, second) = (open(behind), open(ahead));
        first.store = Arc::new(Late { store: first.store, meanwhile: Arc::clone(&meanwhile) });
        let (behind, ahead) = (start(first).await, start(second).await);
        let organization = coder_core::id::EXAMPLE.to_string();
        Self { behind, ahead, meanwhile, organization, _directory: directory }
    }

    /// Hands an event to the consumer of a process.
    async fn record(&self, process: &Assembly, number: u32) {
        let event = json!({
            "specversion": "1.0", "id": format!("clock-{number}"), "source": "/functions/planning",
            "type": "coder.planning.task.created", "subject": "task-1", "time": "2026-01-31T12:00:00Z",
            "organizationid": self.organization, "data": {},
        });
        let outcome = process.groups[0].functions.consume("record", &event, &format!("d-{number}")).await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    /// Lets the process that is ahead record an event where the one behind is about to create a head; then each one
    /// more.
    async fn race(&self) {
        let (ask, asked) = channel::<Sender<()>>();
        *self.meanwhile.lock().unwrap() = Some(ask);
        let first = async {
            let done = asked.await.unwrap();
            self.record(&self.ahead, 2).await;
            done.send(()).unwrap();
        };
        futures_util::future::join(self.record(&self.behind, 1), first).await;
        self.record(&self.behind, 3).await;
        self.record(&self.ahead, 4).await;
    }

    /// The documents of a month.
    async fn month(&self, month: &str, kinds: &[&str]) -> Vec<Document> {
        let kinds = kinds.iter().map(|kind| Filter::of_type(kind)).collect();
        let query = Query::new(Filter::Or(kinds)).limit(1000);
        self.ahead.providers.store.query("logging", &self.key(month), &query).await.unwrap().items
    }

    fn key(&self, month: &str) -> PartitionKey {
        PartitionKey(vec![format!("org:{}", self.organization), month.to_owned()])
    }

    /// The numbers of the chain over all months; each entry must link to the one before.
    async fn numbers(&self) -> Vec<u64> {
        let mut entries: Vec<Value> = Vec::new();
        for month in ["2025-12", "2026-01", "2026-02", "2026-03"] {
            entries.extend(self.month(month, &["entry"]).await.into_iter().map(|document| document.body));
        }
        entries.sort_by_key(|entry| entry["seq"].as_u64());
        for pair in entries.windows(2) {
            assert_eq!(pair[1]["prevHash"], pair[0]["hash"], "the chain forks at {}", pair[1]["seq"]);
        }
        entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_entries_of_a_new_organization_do_not_fork_at_midnight() {
    let two = Two::start("2026-01-31T23:59:59Z", "2026-02-01T00:00:01Z").await;
    two.race().await;
    assert_eq!(two.numbers().await, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_quiet_for_months_does_not_fork_at_midnight() {
    let two = Two::start("2026-02-28T23:59:59Z", "2026-03-01T00:00:01Z").await;
    // One entry, of long ago.
    two.record(&two.behind, 0).await;
    let store = &two.ahead.providers.store;
    for Document { id, mut body, .. } in two.month("2026-02", &["entry", "head"]).await {
        body["bucket"] = json!("2025-12");
        if body["type"] == "head" {
            body["month"] = json!("2025-12");
        }
        let delete = Operation::Delete { id: id.clone(), if_match: None };
        store.write("logging", &two.key("2026-02"), vec![delete]).await.unwrap();
        let create = Operation::Create { id, body, expires_at: None };
        store.write("logging", &two.key("2025-12"), vec![create]).await.unwrap();
    }
    two.race().await;
    assert_eq!(two.numbers().await, [1, 2, 3, 4, 5]);
}
