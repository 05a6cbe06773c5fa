//! A plan sent to the service, and made anew when somebody was faster.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use azure_data_cosmos::clients::ContainerClient;
use azure_data_cosmos::models::TransactionalBatchResponse;
use azure_data_cosmos::options::{BatchDeleteOptions, BatchReplaceOptions, ItemWriteOptions, Precondition};
use azure_data_cosmos::{CosmosError, PartitionKey as Partition, TransactionalBatch};
use coder_core::Ambient;
use coder_database::{Container, Operation, PartitionKey, StoreError, Written};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::envelope::Stored;
use super::error::{self, Failed};
use super::lost::{self, Verdict};
use super::plan::{Change, Known, Plan, assumed};

/// How often a write starts anew because another was faster.
const MAX_ATTEMPTS: u32 = 100;
/// The longest pause before it does.
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// Documents read at once.
const READS: usize = 8;

/// What a batch is written with.
pub(super) struct Writer<'a> {
    pub(super) client: ContainerClient,
    pub(super) container: &'a Container,
    pub(super) key: &'a PartitionKey,
    pub(super) partition: Partition,
    pub(super) ambient: &'a Ambient,
}

/// The service's answer to changes that were sent.
enum Answer {
    /// The new tags by id.
    Done(HashMap<String, String>),
    /// A guard failed; `doubtful` if an earlier request may have taken effect.
    Guarded { doubtful: bool },
}

impl Writer<'_> {
    /// Applies all operations or none.
    pub(super) async fn run(&self, operations: &[Operation]) -> Result<Vec<Written>, StoreError> {
        let write = self.ambient.new_uuid().to_string();
        let ids: BTreeSet<&str> = operations.iter().map(Operation::id).collect();
        let mut known = assumed(operations, self.ambient.now());
        let mut all_read = known.is_empty();
        let unknown = ids.iter().copied().filter(|id| !known.contains_key(*id)).collect();
        known.extend(self.read_all(unknown).await?);
        for attempt in 0..MAX_ATTEMPTS {
            let now = self.ambient.now();
            let plan = match Plan::new(self.container, self.key, operations, &known, now) {
                Ok(plan) if all_read || !plan.leaves_untested() => plan,
                Err(fault) if all_read => return Err(fault),
                _ => {
                    // Built on an assumption, which no guard tests: another operation may be the one at fault.
                    (known, all_read) = (self.read_all(ids.iter().copied().collect()).await?, true);
                    continue;
                }
            };
            let doubtful = match self.send(plan.changes(&write, now)).await? {
                Answer::Done(tags) => return Ok(plan.written(|id| tags.get(id).cloned())),
                Answer::Guarded { doubtful } => doubtful,
            };
            (known, all_read) = (self.read_all(ids.iter().copied().collect()).await?, true);
            match lost::verdict(&plan, &known, &write, doubtful) {
                Verdict::Applied => return Ok(plan.written(|id| own_etag(&known, id, &write))),
                Verdict::Unknown => return Err(unknown_outcome()),
                Verdict::NotApplied => self.pause(attempt).await,
            }
        }
        Err(StoreError::Throttled { retry_after: Duration::from_secs(1) })
    }

    /// Waits a random while, longer the more often somebody else was faster.
    async fn pause(&self, attempt: u32) {
        let most = Duration::from_millis(1 << attempt.min(6)).min(MAX_PAUSE);
        let [part] = self.ambient.random::<1>();
        tokio::time::sleep(most * u32::from(part) / 256).await;
    }

    async fn read_all(&self, ids: Vec<&str>) -> Result<Known, StoreError> {
        let reads = ids.into_iter().map(|id| async move {
            let found = read(&self.client, self.partition.clone(), id).await?;
            Ok((id.to_owned(), found))
        });
        stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(READS).try_collect().await
    }

    async fn send(&self, mut changes: Vec<Change>) -> Result<Answer, StoreError> {
        match (changes.pop(), changes.is_empty()) {
            (None, _) => Ok(Answer::Done(HashMap::new())),
            (Some(only), true) => self.send_one(only).await,
            (Some(last), false) => {
                changes.push(last);
                self.send_batch(changes).await
            }
        }
    }

    async fn send_one(&self, change: Change) -> Result<Answer, StoreError> {
        let (client, partition) = (&self.client, self.partition.clone());
        let guarded =
            |etag: String| Some(ItemWriteOptions::default().with_precondition(Precondition::if_match(etag)));
        let (id, answer) = match change {
            Change::Create { id, value } => {
                let answer = client.create_item(partition, &id, value, None).await;
                (id, answer)
            }
            Change::Replace { id, value, etag } => {
                let answer = client.replace_item(partition, &id, value, guarded(etag)).await;
                (id, answer)
            }
            Change::Delete { id, etag } => {
                let answer = client.delete_item(partition, &id, guarded(etag)).await;
                (id, answer)
            }
        };
        match answer {
            Ok(answer) => {
                let etag = answer.headers().etag().map(|etag| etag.as_ref().to_owned());
                Ok(Answer::Done(etag.map(|etag| (id, etag)).into_iter().collect()))
            }
            Err(cause) => refused(&cause),
        }
    }

    async fn send_batch(&self, changes: Vec<Change>) -> Result<Answer, StoreError> {
        let ids: Vec<String> = changes.iter().map(Change::id).map(str::to_owned).collect();
        let batch = changes
            .into_iter()
            .try_fold(TransactionalBatch::new(self.partition.clone()), add)
            .map_err(|cause| error::of_request(&cause))?;
        let answer = match self.client.execute_transactional_batch(batch, None).await {
            Ok(answer) => answer,
            Err(cause) => return refused(&cause),
        };
        let doubtful = lost::doubtful(&answer.diagnostics());
        let results = answer.into_model().map_err(|cause| error::of_request(&cause))?;
        match error::of_batch(&results) {
            None => Ok(Answer::Done(tags(ids, &results))),
            Some(Failed::Guard) => Ok(Answer::Guarded { doubtful }),
            Some(Failed::For(cause)) => Err(if doubtful { unknown_outcome() } else { cause }),
        }
    }
}

/// The document as it lies in the store.
pub(super) async fn read(
    client: &ContainerClient,
    partition: Partition,
    id: &str,
) -> Result<Option<Stored>, StoreError> {
    match client.read_item(partition, id, None).await {
        Ok(answer) => {
            let etag = answer.headers().etag().map(|etag| etag.as_ref().to_owned());
            let value = answer.into_model().map_err(|cause| error::of_request(&cause))?;
            Ok(Some(Stored::open(value, etag.as_deref())))
        }
        Err(cause) if cause.status().is_not_found() => Ok(None),
        Err(cause) => Err(error::of_request(&cause)),
    }
}

fn add(batch: TransactionalBatch, change: Change) -> Result<TransactionalBatch, CosmosError> {
    match change {
        Change::Create { value, .. } => batch.create_item(value),
        Change::Replace { id, value, etag } => {
            let guard = BatchReplaceOptions::default().with_precondition(Precondition::if_match(etag));
            batch.replace_item(id, value, Some(guard))
        }
        Change::Delete { id, etag } => {
            let guard = BatchDeleteOptions::default().with_precondition(Precondition::if_match(etag));
            Ok(batch.delete_item(id, Some(guard)))
        }
    }
}

impl Change {
    fn id(&self) -> &str {
        match self {
            Self::Create { id, .. } | Self::Replace { id, .. } | Self::Delete { id, .. } => id,
        }
    }
}

fn tags(ids: Vec<String>, results: &TransactionalBatchResponse) -> HashMap<String, String> {
    let tags = ids.into_iter().zip(results.results());
    tags.filter_map(|(id, result)| Some((id, result.etag()?.to_owned()))).collect()
}

/// The tag of a document that this write made and nobody has changed since.
fn own_etag(known: &Known, id: &str, write: &str) -> Option<String> {
    let stored = known.get(id)?.as_ref()?;
    (stored.operation == write).then(|| stored.etag.clone())
}

fn refused(cause: &CosmosError) -> Result<Answer, StoreError> {
    // Without diagnostics nothing is known of earlier requests.
    let doubtful = cause.diagnostics().is_none_or(|diagnostics| lost::doubtful(&diagnostics));
    match error::of_write(cause) {
        Failed::Guard => Ok(Answer::Guarded { doubtful }),
        Failed::For(_) if doubtful => Err(unknown_outcome()),
        Failed::For(cause) => Err(cause),
    }
}

fn unknown_outcome() -> StoreError {
    let what = "Cosmos DB lost an answer: whether the write took effect is unknown".to_owned();
    StoreError::Unavailable { what }
}
