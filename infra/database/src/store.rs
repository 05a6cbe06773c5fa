//! The trait of a document store, in the language of Cosmos DB: partition, id, entity tag, transactional batch.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use coder_core::Timestamp;
use serde_json::Value;

use crate::container::Container;
use crate::document::Document;
use crate::filter::Filter;
use crate::query::{Page, Query};
use crate::rules::MAX_PAGE;

/// A value for each level of a container's partition key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey(pub Vec<String>);

impl PartitionKey {
    /// A key of one level.
    pub fn single(value: impl Into<String>) -> Self {
        Self(vec![value.into()])
    }
}

/// One change of one document. `expires_at` is when the document goes by itself (to the second in the cloud).
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields' names say all; the variants are documented")]
pub enum Operation {
    /// Fails with [`StoreError::Conflict`] if a live document has the id.
    Create { id: String, body: Value, expires_at: Option<Timestamp> },
    /// Fails with [`StoreError::NotFound`], or [`StoreError::PreconditionFailed`] if the tag is another.
    Replace { id: String, body: Value, expires_at: Option<Timestamp>, if_match: Option<String> },
    /// Creates or replaces.
    Upsert { id: String, body: Value, expires_at: Option<Timestamp> },
    /// Fails with [`StoreError::NotFound`] or [`StoreError::PreconditionFailed`].
    Delete { id: String, if_match: Option<String> },
    /// Changes single fields on the server; fails like `Replace`.
    Patch { id: String, patches: Vec<Patch>, if_match: Option<String> },
}

/// A change of one top-level or dotted field.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields' names say all; the variants are documented")]
pub enum Patch {
    /// Sets the field; parents must exist.
    Set { field: String, value: Value },
    /// Removes the field; a missing one is no fault.
    Remove { field: String },
    /// Adds to a number; a missing field counts as zero. Never loses a concurrent increment.
    Increment { field: String, by: i64 },
}

impl Operation {
    /// The id of the document that the operation changes.
    pub fn id(&self) -> &str {
        match self {
            Self::Create { id, .. }
            | Self::Replace { id, .. }
            | Self::Upsert { id, .. }
            | Self::Delete { id, .. }
            | Self::Patch { id, .. } => id,
        }
    }
}

/// The outcome of one operation of a batch that went through.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The new entity tag; `None` after a delete.
    pub etag: Option<String>,
    /// The document after a patch; `None` for the others, whose body the caller has.
    pub body: Option<Value>,
}

/// Why a store refused. `operation` is the position in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say all; the variants are documented")]
pub enum StoreError {
    /// A live document has the id already.
    Conflict { operation: usize },
    /// There is no such live document.
    NotFound { operation: usize },
    /// The entity tag is another.
    PreconditionFailed { operation: usize },
    /// A document over 2 MB, a batch over 2 MB or 100 operations, an id over 255 characters or with `/ \ ? #`.
    TooLarge { what: String },
    /// The request makes no sense to the store: unknown container, wrong field, foreign cursor.
    Invalid { what: String },
    /// The store is busy; try again after this time.
    Throttled { retry_after: Duration },
    /// The store can't be reached or does not answer; the outcome of a write is unknown.
    Unavailable { what: String },
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { operation } => write!(out, "operation {operation}: the id is taken"),
            Self::NotFound { operation } => write!(out, "operation {operation}: there is no such document"),
            Self::PreconditionFailed { operation } => {
                write!(out, "operation {operation}: the document has changed")
            }
            Self::TooLarge { what } | Self::Invalid { what } | Self::Unavailable { what } => {
                out.write_str(what)
            }
            Self::Throttled { retry_after } => {
                write!(out, "busy; try again in {} ms", retry_after.as_millis())
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for coder_core::Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PreconditionFailed { .. } => Self::Stale,
            StoreError::Throttled { retry_after } => coder_core::Problem::unavailable(
                "The document store is busy; try again shortly.",
                retry_after.as_secs().max(1),
            )
            .into(),
            StoreError::Unavailable { .. } => {
                coder_core::Problem::unavailable("The document store does not answer; try again shortly.", 5)
                    .into()
            }
            other => Self::internal(other),
        }
    }
}

/// A store of documents. Every provider enforces [`crate::rules`] and passes the suite of
/// the feature `contract`.
#[async_trait]
pub trait DocumentStore: Send + Sync + fmt::Debug {
    /// Makes sure the containers exist (embedded) or are as declared; called once before first use.
    async fn prepare(&self, containers: &[Container]) -> Result<(), StoreError>;

    /// The live document with this id.
    async fn read(
        &self,
        container: &str,
        key: &PartitionKey,
        id: &str,
    ) -> Result<Option<Document>, StoreError>;

    /// Applies all operations, or none: one operation is a point write, several are a transactional batch in
    /// one partition. At most 100 operations and 2 MB. Acknowledged means durable.
    async fn write(
        &self,
        container: &str,
        key: &PartitionKey,
        operations: Vec<Operation>,
    ) -> Result<Vec<Written>, StoreError>;

    /// A page of the documents of one partition. A key with fewer values than the container has levels reads
    /// every partition below it.
    async fn query(&self, container: &str, key: &PartitionKey, query: &Query) -> Result<Page, StoreError>;

    /// How many documents of one partition, or of every partition below a prefix, pass the filter: for what a limit
    /// keeps small. A store that cannot count reads them, as this does.
    async fn count(
        &self,
        container: &str,
        key: &PartitionKey,
        filter: Option<&Filter>,
    ) -> Result<usize, StoreError> {
        let mut query = Query::new(filter.cloned()).limit(MAX_PAGE);
        let mut found = 0;
        loop {
            let page = self.query(container, key, &query).await?;
            found += page.items.len();
            match page.next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// A page over all partitions; for platform jobs only, hence reached through `PlatformJob`.
    async fn query_across(&self, container: &str, query: &Query) -> Result<Page, StoreError>;

    /// The `top` documents of the partition nearest to `vector` by cosine similarity, with their similarity,
    /// nearest first; ties by id. Only documents that pass the filter count.
    async fn nearest(
        &self,
        container: &str,
        key: &PartitionKey,
        field: &str,
        vector: &[f32],
        top: u32,
        filter: Option<&Filter>,
    ) -> Result<Vec<(Document, f32)>, StoreError>;

    /// Whether the store answers; cheap.
    async fn ping(&self) -> Result<(), StoreError>;
}
