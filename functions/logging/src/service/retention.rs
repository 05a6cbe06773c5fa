//! Retention: what is over loses its payload; a closed month of which everything is over is removed whole, and leaves
//! a segment that the chain is verified across.

use coder_core::Result;
use coder_database::Record;
use coder_handler::Invocation;
use jiff::SignedDuration;
use serde_json::json;

use super::Logging;
use super::files::{Chunks, bucket};
use super::policies::Policies;
use super::search::Search;
use crate::chain::{Hash, hex, merkle, unhex};
use crate::model::{CONTAINER, Entry, Erased, Head, Month, Segment, Trail};

/// Entries that are looked at in one go.
const STRIDE: usize = 500;
/// Entries that lose their payload in one batch.
const BATCH: usize = 90;

/// What a run did in one chain.
#[derive(Debug, Default)]
struct Applied {
    erased: u64,
    removed_months: Vec<String>,
}

/// What a look at a month found.
struct Look {
    expired: Vec<Record<Entry>>,
    all_expired: bool,
    archives: bool,
    hashes: Vec<Hash>,
}

impl Logging {
    /// Applies the policies to one chain. Under a legal hold nothing happens.
    pub(crate) async fn retain(&self, run: &Invocation, trail: Trail) -> Result<()> {
        if self.settings_of(trail).await?.legal_hold.is_some() {
            return Ok(());
        }
        let policies = self.retention(trail).await?;
        let mut applied = Applied::default();
        for head in self.heads_of(trail).await? {
            if self.young(&policies, &head.data) {
                continue;
            }
            self.retain_month(run, trail, &policies, &head, &mut applied).await?;
        }
        self.end_policies(run, trail).await?;
        if applied.erased > 0 || !applied.removed_months.is_empty() {
            let mut transaction = run.begin(CONTAINER, trail.config());
            let data = json!({"erased": applied.erased, "removedMonths": applied.removed_months});
            transaction.emit("retention.applied", &trail.name(), data);
            run.commit(transaction).await?;
        }
        Ok(())
    }

    /// Whether nothing of the month can be over.
    fn young(&self, policies: &Policies, head: &Head) -> bool {
        let age = self.now().duration_since(head.month.start());
        age < SignedDuration::from_hours(24 * i64::from(policies.least_days()))
    }

    async fn retain_month(
        &self,
        run: &Invocation,
        trail: Trail,
        policies: &Policies,
        head: &Record<Head>,
        applied: &mut Applied,
    ) -> Result<()> {
        let look = self.look(trail, policies, &head.data).await?;
        // The last month of a chain stays even if all is over: what comes next links to it.
        if look.all_expired && head.data.closed {
            if self.remove_month(run, trail, &head.data, look).await? {
                applied.removed_months.push(head.data.month.to_string());
            }
            return Ok(());
        }
        let erased = Erased {
            at: self.now(),
            by: format!("{}.{}", self.runtime.group, run.name),
            reason: "retention".to_owned(),
        };
        let partition = trail.month(head.data.month);
        for batch in look.expired.chunks(BATCH) {
            applied.erased += self.erase_entries(run, &partition, batch, &erased).await?;
        }
        Ok(())
    }

    async fn look(&self, trail: Trail, policies: &Policies, head: &Head) -> Result<Look> {
        let mut look = Look { expired: Vec::new(), all_expired: true, archives: false, hashes: Vec::new() };
        let mut search = Search::numbered(trail, head.first_seq, head.last_seq);
        loop {
            let page = self.first(&search, STRIDE).await?;
            let Some(end) = page.last().and_then(|entry| entry.body["seq"].as_u64()) else { return Ok(look) };
            for document in page {
                look.hashes.extend(document.body["hash"].as_str().and_then(unhex));
                let entry: Record<Entry> = Record::from_document(document)?;
                look.archives |= policies.archives(&entry.data);
                if !policies.expired(&entry.data) {
                    look.all_expired = false;
                } else if entry.data.erased.is_none() {
                    look.expired.push(entry);
                }
            }
            search = search.after(end);
        }
    }

    /// Removes a closed month: it is covered by checkpoints first, archived if asked, replaced by its segment, and
    /// then taken away. Every step can be repeated. Answers whether it went.
    async fn remove_month(&self, run: &Invocation, trail: Trail, head: &Head, look: Look) -> Result<bool> {
        let known = self.segments.find(&trail.config(), &Segment::document_id(head.month)).await?;
        if known.is_none() {
            let covered =
                self.last_checkpoint(trail).await?.is_some_and(|one| one.data.to_seq >= head.last_seq);
            if !covered || look.hashes.len() as u64 != head.count {
                tracing::warn!(chain = trail.name(), month = %head.month, "a month waits for its checkpoint");
                return Ok(false);
            }
            let archive_uri = if look.archives { Some(self.archive(trail, head).await?) } else { None };
            let leaves: Vec<Hash> = look.hashes.iter().map(|hash| merkle::leaf(hash)).collect();
            let segment = Segment {
                month: head.month,
                first_seq: head.first_seq,
                last_seq: head.last_seq,
                first_prev_hash: head.first_prev_hash.clone(),
                last_hash: head.last_hash.clone(),
                merkle_root: hex(&merkle::root(&leaves)),
                count: head.count,
                archive_uri,
                removed_at: self.now(),
            };
            let mut transaction = run.begin(CONTAINER, trail.config());
            transaction.create(Segment::document_id(head.month), segment)?;
            run.commit(transaction).await?;
        }
        self.remove_bucket(run, &trail.month(head.month)).await?;
        Ok(true)
    }

    /// Writes a month into a file of the store; answers its address.
    async fn archive(&self, trail: Trail, head: &Head) -> Result<String> {
        let name = archive_name(head.month);
        let file = bucket(trail, &name);
        let (mut chunks, mut written) = (Chunks::default(), 0);
        let mut search = Search::numbered(trail, head.first_seq, head.last_seq);
        loop {
            let page = self.first(&search, STRIDE).await?;
            let Some(end) = page.last().and_then(|entry| entry.body["seq"].as_u64()) else { break };
            for document in page {
                if chunks.add(format!("{}\n", document.body).as_bytes()) {
                    for chunk in chunks.full() {
                        self.write_chunk(&file, written, &chunk, None).await?;
                        written += 1;
                    }
                }
            }
            search = search.after(end);
        }
        if let Some(rest) = chunks.rest() {
            self.write_chunk(&file, written, &rest, None).await?;
        }
        Ok(format!("store:{}/file-{name}", trail.name()))
    }

    /// Removes policies whose end has come.
    async fn end_policies(&self, run: &Invocation, trail: Trail) -> Result<()> {
        let now = self.now();
        for policy in self.policies.all(&trail.config(), None, 1000).await? {
            if policy.data.ends_at.is_some_and(|end| end <= now) {
                let mut transaction = run.begin(CONTAINER, trail.config());
                transaction.delete(&policy)?;
                run.commit(transaction).await?;
            }
        }
        Ok(())
    }

    /// Removes everything of a purged organization but checkpoints and segments.
    pub(crate) async fn purge(&self, run: &Invocation, trail: Trail) -> Result<()> {
        use coder_database::{Filter, Query};
        for head in self.heads_of(trail).await? {
            self.remove_bucket(run, &trail.month(head.data.month)).await?;
        }
        for export in self.exports.all(&trail.config(), None, 10_000).await? {
            self.remove_bucket(run, &bucket(trail, &export.meta.id)).await?;
        }
        for segment in self.segments.all(&trail.config(), None, 1200).await? {
            self.remove_bucket(run, &bucket(trail, &archive_name(segment.data.month))).await?;
        }
        let stays = ["checkpoint", "segment", "purged", "outbox", "job", "audit"];
        let going = Filter::Not(Box::new(Filter::In("type".into(), stays.map(Into::into).to_vec())));
        loop {
            let query = Query::new(going.clone()).limit(90);
            let page = self.runtime.store.query(CONTAINER, &trail.config().key(), &query).await?;
            if page.items.is_empty() {
                return Ok(());
            }
            let mut transaction = run.begin(CONTAINER, trail.config()).without_audit();
            for document in page.items {
                transaction.push(coder_database::Operation::Delete { id: document.id, if_match: None });
            }
            match run.commit(transaction).await {
                Ok(()) | Err(coder_core::Failure::Stale) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// The name of a month's archive.
fn archive_name(month: Month) -> String {
    format!("archive-{month}")
}
