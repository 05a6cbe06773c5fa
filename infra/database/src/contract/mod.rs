//! The suite that every provider of [`DocumentStore`] passes: what the trait says, as tests.
//!
//! A provider's test writes `coder_database::contract_tests!(crate::subject);` in a module of its own, where
//! `subject` is an `async fn() -> Subject` that gives a fresh, empty store. Each case becomes a test.
#![expect(clippy::unwrap_used, reason = "test code: a failed look-up is a failed test")]
#![expect(
    missing_docs,
    clippy::missing_panics_doc,
    reason = "the cases' names say what they prove; they panic on failure"
)]

use std::any::Any;
use std::sync::Arc;

use coder_core::{ManualClock, Timestamp};
use serde_json::{Value, json};

use crate::{Container, Document, DocumentStore, Operation, PartitionKey, Query, StoreError, Written};

pub mod batches;
pub mod expiry;
pub mod filters;
pub mod limits;
pub mod model;
pub mod paging;
pub mod parallel;
pub mod partitions;
pub mod patches;
pub mod points;
pub mod vectors;

/// Makes a test of every case of the suite. A test double that cannot search vectors leaves those cases out, by
/// `contract_tests!(subject; no vectors)`.
#[macro_export]
macro_rules! contract_tests {
    ($subject:path) => {
        $crate::contract_tests! { @documents $subject }
        mod search {
            $crate::contract_tests! { @vectors $subject }
        }
    };
    ($subject:path; no vectors) => {
        $crate::contract_tests! { @documents $subject }
    };
    (@documents $subject:path) => {
        $crate::contract_tests! { @cases $subject;
            points: creates_then_reads, refuses_a_taken_id, replaces_what_is_there, guards_replacement_by_tag,
                upserts_either_way, deletes_once, guards_deletion_by_tag, gives_every_write_its_own_tag,
                keeps_values_to_the_last_bit;
            patches: sets_removes_and_adds, refuses_what_cannot_be_applied, guards_by_tag,
                keeps_the_end_of_the_document;
            batches: applies_all_in_order, applies_none_if_one_fails, names_the_operation_that_failed;
            limits: refuses_ids_that_fit_no_address, refuses_documents_and_batches_over_the_size,
                refuses_misplaced_documents, refuses_senseless_requests, refuses_foreign_continuations;
            expiry: hides_what_is_over, lets_an_expired_id_be_created_again, keeps_or_moves_the_end;
            partitions: keeps_tenants_apart, reads_below_a_prefix, reads_across_for_jobs;
            paging: pages_by_id, pages_by_two_fields_in_every_direction, pages_while_documents_come_and_go,
                pages_below_a_prefix_and_across;
            filters: agrees_with_the_meaning, takes_filters_of_the_largest_size;
            parallel: loses_no_increment, creates_a_unique_id_once, lets_one_guarded_writer_win,
                never_shows_half_a_batch;
            vectors: refuses_what_is_no_vector;
            model: agrees_with_a_simple_model;
        }
    };
    (@vectors $subject:path) => {
        $crate::contract_tests! { @cases $subject;
            vectors: finds_the_nearest, follows_every_change, skips_what_is_over, filters_and_breaks_ties_by_id;
        }
    };
    (@cases $subject:path; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::contract::$module::$case(&$subject().await).await;
                }
            )+
        })+
    };
}

/// A fresh store under test.
#[derive(Debug)]
pub struct Subject {
    /// The store, with the containers of [`containers`] prepared.
    pub store: Arc<dyn DocumentStore>,
    /// The clock that the store looks at.
    pub clock: ManualClock,
    /// What must live as long as the store, such as a temporary directory.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// One level, with indexes.
pub const PLAIN: &str = "contract-plain";
/// Three levels.
pub const LAYERED: &str = "contract-layered";
/// With a vector of [`vectors::DIMENSIONS`].
pub const ALIKE: &str = "contract-alike";

/// The containers that the suite works on.
pub fn containers() -> Vec<Container> {
    vec![
        Container::new(PLAIN).index(["status"]).index(["status", "priority"]).index(["nested.a"]),
        Container::new(LAYERED).partition_key(["/organizationId", "/bucket", "/day"]),
        Container::new(ALIKE).vector("embedding", vectors::DIMENSIONS),
    ]
}

/// When the suite begins.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

impl Subject {
    async fn write(&self, pk: &str, operations: Vec<Operation>) -> Result<Vec<Written>, StoreError> {
        self.store.write(PLAIN, &PartitionKey::single(pk), operations).await
    }

    /// A point write, and its new tag.
    async fn one(&self, pk: &str, operation: Operation) -> Result<Option<String>, StoreError> {
        let written = self.write(pk, vec![operation]).await?;
        assert_eq!(written.len(), 1);
        Ok(written[0].etag.clone())
    }

    /// Creates a document in the plain container, and gives its tag.
    async fn create(&self, pk: &str, id: &str, more: Value) -> String {
        self.one(pk, create(pk, id, more)).await.unwrap().unwrap()
    }

    async fn read(&self, pk: &str, id: &str) -> Option<Document> {
        self.store.read(PLAIN, &PartitionKey::single(pk), id).await.unwrap()
    }

    async fn ids(&self, pk: &str, query: Query) -> Vec<String> {
        let page = self.store.query(PLAIN, &PartitionKey::single(pk), &query).await.unwrap();
        page.items.into_iter().map(|document| document.id).collect()
    }
}

/// A document of the plain container.
fn body(pk: &str, id: &str, more: Value) -> Value {
    let mut body = json!({ "partitionKey": pk, "id": id });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn create(pk: &str, id: &str, more: Value) -> Operation {
    Operation::Create { id: id.into(), body: body(pk, id, more), expires_at: None }
}

fn upsert(pk: &str, id: &str, more: Value) -> Operation {
    Operation::Upsert { id: id.into(), body: body(pk, id, more), expires_at: None }
}

fn replace(pk: &str, id: &str, more: Value, if_match: Option<&str>) -> Operation {
    let if_match = if_match.map(str::to_owned);
    Operation::Replace { id: id.into(), body: body(pk, id, more), expires_at: None, if_match }
}

fn delete(id: &str, if_match: Option<&str>) -> Operation {
    Operation::Delete { id: id.into(), if_match: if_match.map(str::to_owned) }
}
