//! Appending: entries get their number, their link and their place, in batches with the head that they follow.
//!
//! The head is replaced under its tag in the batch of the entries, so of two processes that append to one chain the
//! second starts again from what the first wrote. An entry's bucket is the month of its receipt. When a month is
//! over, its head is closed under its tag first, and only then is the new one made from it (the module `position`):
//! numbers stay contiguous over months, and nothing is added to a closed month even by a process whose clock is
//! behind.
//!
//! A repeated event is found by the id of its entry, which is made from the event's id: in the open month by the
//! store itself, in the month before by a look, which is safe because that month is closed. A repeat that comes more
//! than a month late is another entry; brokers give up after two weeks.

use std::collections::HashMap;
use std::sync::Arc;

use coder_core::{Code, Failure, Problem, Result};
use futures_util::future::try_join_all;

use super::Logging;
use super::lane::Outcome;
use super::position::Position;
use crate::chain::{entry_hash, hex, payload_hash};
use crate::draft::Draft;
use crate::model::{AuditSettings, Entry, EntryId, Head, Month, Trail};
use crate::redact::Redactor;

/// How often a batch is tried against other writers.
const TRIES: u32 = 30;

/// Where an act was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The entry.
    pub id: EntryId,
    /// Its number.
    pub seq: u64,
    /// Whether it was there already.
    pub repeated: bool,
}

/// What the one who writes remembers between batches.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) month: Option<Month>,
    /// The rules of redaction, by the tag of the settings that they are of.
    redactor: Option<(Option<String>, Arc<Redactor>)>,
}

/// A built batch.
struct Batch {
    head: Head,
    entries: Vec<(EntryId, Entry)>,
    placed: Vec<Placed>,
}

impl Logging {
    /// Records acts of one chain, in order, and answers once they are stored. Those of a purged organization go to
    /// the platform's chain.
    pub(crate) async fn append(&self, trail: Trail, drafts: Vec<Draft>) -> Result<Vec<Placed>> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let lane = self.lanes.of(trail);
        let (receivers, ticket) = lane.add(drafts)?;
        {
            let mut writer = lane.writer.lock().await;
            while lane.waits(ticket) {
                let batch = lane.batch();
                let count = batch.len();
                let outcomes: Vec<Outcome> = match Box::pin(self.write(trail, &mut writer, batch)).await {
                    Ok(placed) => placed.into_iter().map(Ok).collect(),
                    Err(failure) => vec![Err(told(failure)); count],
                };
                lane.settle(outcomes);
            }
        }
        let mut placed = Vec::with_capacity(receivers.len());
        for receiver in receivers {
            placed.push(receiver.await.map_err(|_| told(Failure::Stale))??);
        }
        Ok(placed)
    }

    async fn write(&self, trail: Trail, writer: &mut Writer, mut drafts: Vec<Draft>) -> Result<Vec<Placed>> {
        let redactor = self.redactor(trail, writer).await?;
        for draft in &mut drafts {
            // Hidden before it is cut: half a secret is not recognised.
            redactor.apply(draft);
            draft.fit();
        }
        let mut repeats = HashMap::new();
        for _ in 0..TRIES {
            let position = match self.position(trail, writer).await {
                Ok(Some(position)) => position,
                Ok(None) if trail == Trail::Platform => {
                    return Err(Failure::internal("the platform was purged"));
                }
                Ok(None) => return Box::pin(self.append(Trail::Platform, drafts)).await,
                Err(Failure::Stale) => continue,
                Err(failure) => return Err(failure),
            };
            if let Some(month) = position.previous_month {
                repeats.extend(self.recorded(trail, month, &drafts).await?);
            }
            let batch = self.build(trail, &position, &drafts, &repeats)?;
            match self.commit_batch(trail, &position, &batch).await {
                Ok(()) => return Ok(batch.placed),
                // Another process was faster, or an event came again.
                Err(Failure::Stale) => {}
                Err(failure) if failure.code() == Some(Code::AlreadyExists) => {}
                Err(failure) => return Err(failure),
            }
            repeats.extend(self.recorded(trail, position.month, &drafts).await?);
        }
        Err(Problem::unavailable("Too many write to this audit log at once; try again shortly.", 1).into())
    }

    async fn redactor(&self, trail: Trail, writer: &mut Writer) -> Result<Arc<Redactor>> {
        let settings = self.settings.find(&trail.config(), AuditSettings::ID).await?;
        let etag = settings.as_ref().map(|found| found.meta.etag.clone());
        if let Some((known, redactor)) = &writer.redactor
            && *known == etag
        {
            return Ok(redactor.clone());
        }
        let redactor = Arc::new(Redactor::new(&settings.map(|found| found.data).unwrap_or_default()));
        writer.redactor = Some((etag, redactor.clone()));
        Ok(redactor)
    }

    /// Which of the drafts are recorded in a month already.
    async fn recorded(
        &self,
        trail: Trail,
        month: Month,
        drafts: &[Draft],
    ) -> Result<HashMap<String, Placed>> {
        let partition = trail.month(month);
        let found = try_join_all(drafts.iter().map(|draft| {
            let (partition, id) = (&partition, EntryId::of_event(trail, month, &draft.repeat_key()));
            async move {
                let found = self.entries.find(partition, &id.to_string()).await?;
                let placed = |seq| (draft.repeat_key(), Placed { id, seq, repeated: true });
                Ok::<_, Failure>(found.map(|found| placed(found.data.seq)))
            }
        }));
        Ok(found.await?.into_iter().flatten().collect())
    }

    fn build(
        &self,
        trail: Trail,
        position: &Position,
        drafts: &[Draft],
        repeats: &HashMap<String, Placed>,
    ) -> Result<Batch> {
        let received_at = self.now().max(position.month.start());
        let (mut last_seq, mut last_hash) = (position.last_seq, position.last_hash.clone());
        let mut known = repeats.clone();
        let (mut entries, mut placed) = (Vec::new(), Vec::with_capacity(drafts.len()));
        for draft in drafts {
            let repeat_key = draft.repeat_key();
            if let Some(before) = known.get(&repeat_key) {
                placed.push(*before);
                continue;
            }
            last_seq += 1;
            let id = EntryId::of_event(trail, position.month, &repeat_key);
            let entry = entry(draft, last_seq, received_at, &last_hash, &self.runtime.ambient.random::<16>());
            let entry = self.linked(trail, id, entry)?;
            last_hash.clone_from(&entry.hash);
            let place = Placed { id, seq: last_seq, repeated: false };
            known.insert(repeat_key, Placed { repeated: true, ..place });
            placed.push(place);
            entries.push((id, entry));
        }
        let added = last_seq - position.last_seq;
        let head = match &position.head {
            Some(head) => Head { last_seq, last_hash, count: head.data.count + added, ..head.data.clone() },
            None => Head {
                month: position.month,
                previous_month: position.previous_month,
                first_seq: position.last_seq + 1,
                last_seq,
                last_hash,
                count: added,
                first_prev_hash: position.last_hash.clone(),
                closed: false,
                next_month: None,
            },
        };
        Ok(Batch { head, entries, placed })
    }

    /// The entry with its hashes, which are taken over the document as it will be stored.
    fn linked(&self, trail: Trail, id: EntryId, mut entry: Entry) -> Result<Entry> {
        let record = self.own_transaction(trail.config()).record(id, entry.clone());
        let mut document = serde_json::to_value(&record).map_err(Failure::internal)?;
        let missing = || Failure::internal("an entry without the fields of its hash");
        entry.payload_hash = hex(&payload_hash(&document).ok_or_else(missing)?);
        document["payloadHash"] = entry.payload_hash.clone().into();
        entry.hash = hex(&entry_hash(&document).ok_or_else(missing)?);
        Ok(entry)
    }

    async fn commit_batch(&self, trail: Trail, position: &Position, batch: &Batch) -> Result<()> {
        if batch.entries.is_empty() {
            return Ok(());
        }
        let mut transaction = self.own_transaction(trail.month(position.month));
        match &position.head {
            Some(head) => transaction.replace(head, batch.head.clone()).map(|_| ())?,
            None => transaction.create(Head::ID, batch.head.clone()).map(|_| ())?,
        }
        for (id, entry) in &batch.entries {
            let mut record = transaction.record(*id, entry.clone());
            record.meta.created_at = entry.received_at;
            record.meta.updated_at = entry.received_at;
            record.meta.created_by.clone_from(&entry.actor.id);
            record.meta.updated_by.clone_from(&entry.actor.id);
            transaction.insert(&record)?;
        }
        self.commit_own(transaction).await
    }
}

fn entry(draft: &Draft, seq: u64, received_at: coder_core::Timestamp, previous: &str, salt: &[u8]) -> Entry {
    let draft = draft.clone();
    Entry {
        seq,
        time: draft.time,
        received_at,
        actor: draft.actor,
        action: draft.action,
        category: draft.category,
        severity: draft.severity,
        outcome: draft.outcome,
        resource_type: draft.resource_type,
        resource_id: draft.resource_id,
        project_id: draft.project_id,
        source: draft.source,
        event_id: draft.event_id,
        correlation_id: draft.correlation_id,
        message: Some(draft.message),
        changes: Some(draft.changes),
        metadata: Some(draft.metadata),
        payload_salt: Some(hex(salt)),
        payload_hash: String::new(),
        prev_hash: previous.to_owned(),
        hash: String::new(),
        erased: None,
    }
}

/// What those who wait are told of a failure: it cannot be handed to several.
fn told(failure: Failure) -> Problem {
    match failure {
        Failure::Problem(problem) => *problem,
        other => {
            tracing::error!(cause = %other, "entries could not be recorded");
            Problem::unavailable("The audit log cannot be written at the moment; try again shortly.", 5)
        }
    }
}
