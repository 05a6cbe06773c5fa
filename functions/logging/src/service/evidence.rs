//! Verification of what this store has: the evidence is read in windows, so that a long chain needs no more memory
//! than a short one.

use coder_core::Result;
use coder_database::{Filter, Partition, Query};
use http::Method;
use serde_json::{Value, json};

use super::Logging;
use super::search::Search;
use crate::chain::{Evidence, Verdict, jws, verify};
use crate::model::{CONTAINER, Trail, Verification, WorkStatus};

/// Entries of a window; a checkpoint covers no more.
pub const WINDOW: u64 = 10_000;
/// Faults that are kept of one verification.
const MAX_FAULTS: usize = 1000;

impl Logging {
    /// Verifies a range from what is stored.
    pub async fn verify(&self, trail: Trail, from_seq: u64, to_seq: u64) -> Result<Verdict> {
        let heads: Vec<Value> = self.stored(&trail.all(), Filter::of_type("head")).await?;
        let segments = self.stored(&trail.config(), Filter::of_type("segment")).await?;
        let keys = self.public_keys().await?;
        let mut whole = Verdict::default();
        let mut from = from_seq.max(1);
        while from <= to_seq {
            let mut to = to_seq.min(from.saturating_add(WINDOW - 1));
            let overlapping = Filter::of_type("checkpoint")
                .and(Filter::Le("fromSeq".into(), to.into()))
                .and(Filter::Ge("toSeq".into(), from.saturating_sub(1).into()));
            let checkpoints = self.stored(&trail.config(), overlapping).await?;
            // A checkpoint is checked where it lies in one window: the window ends where the last one does.
            let ends = checkpoints.iter().filter_map(|one| one["toSeq"].as_u64());
            let last = ends.filter(|end| (from..to).contains(end)).max();
            if let Some(last) = last.filter(|_| to < to_seq) {
                to = last;
            }
            let search = Search::numbered(trail, from.saturating_sub(1), to);
            let entries = self.first(&search, usize::MAX).await?;
            let entries: Vec<Value> = entries.into_iter().map(|document| document.body).collect();
            let name = trail.name();
            let evidence = Evidence {
                name: &name,
                entries: &entries,
                heads: &heads,
                segments: &segments,
                checkpoints: &checkpoints,
                keys: &keys,
            };
            let verdict = verify(&evidence, from, to);
            whole.checked += verdict.checked;
            whole.faults.extend(verdict.faults);
            whole.erased.extend(verdict.erased);
            from = to.saturating_add(1);
        }
        Ok(whole)
    }

    /// The number of the last entry that there must be: what a checkpoint covers is missed, even where the head was
    /// turned back together with the entries that were taken away.
    pub async fn last_due(&self, trail: Trail) -> Result<u64> {
        let (last, name) = (self.last_seq(trail).await?, trail.name());
        let later = Filter::of_type("checkpoint").and(Filter::Gt("toSeq".into(), last.into()));
        let later = self.stored(&trail.config(), later).await?;
        if later.is_empty() {
            return Ok(last);
        }
        let keys = self.public_keys().await?;
        // Only what is signed counts: a number that anybody can write would have nothing verified to its end.
        let signed = later.iter().filter_map(|one| jws::payload(one["signature"].as_str()?, &keys));
        let covered =
            signed.filter(|one| one["organizationId"] == name).filter_map(|one| one["toSeq"].as_u64());
        Ok(covered.max().unwrap_or(0).max(last))
    }

    /// Every document that passes, as it is stored.
    async fn stored(&self, partition: &Partition, filter: Filter) -> Result<Vec<Value>> {
        let mut query = Query::new(filter).limit(1000);
        let mut found = Vec::new();
        loop {
            let page = self.runtime.store.query(CONTAINER, &partition.key(), &query).await?;
            found.extend(page.items.into_iter().map(|document| document.body));
            match page.next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// The keys by which checkpoints may be signed: those that `auth` shows, and those of before that were kept when
    /// they signed. Who does not trust this store brings a copy of the key set of the time.
    pub async fn public_keys(&self) -> Result<Vec<Value>> {
        let shown = self.peers.call("auth", Method::GET, "/.well-known/jwks.json", None).await;
        let mut keys = match shown {
            Ok(answer) => answer.body["keys"].as_array().cloned().unwrap_or_default(),
            // The kept ones are enough to go on with.
            Err(_) => Vec::new(),
        };
        let kept = self.keys.all(&Trail::Platform.config(), None, 10_000).await?;
        keys.extend(kept.into_iter().map(|key| key.data.jwk));
        Ok(keys)
    }
}

/// The state of a verification that has run, and the event that tells of it.
pub(crate) fn verified(from_seq: u64, to_seq: u64, verdict: Verdict) -> (Verification, &'static str, Value) {
    let first_bad_seq = verdict.first_bad_seq();
    let valid = verdict.faults.is_empty();
    let shown: Vec<_> = verdict.faults.iter().take(100).collect();
    let (name, data) = if valid {
        let data = json!({"fromSeq": from_seq, "toSeq": to_seq, "checked": verdict.checked});
        ("chain.verified", data)
    } else {
        ("chain.verification-failed", json!({"firstBadSeq": first_bad_seq, "faults": shown}))
    };
    let verification = Verification {
        status: WorkStatus::Succeeded,
        from_seq,
        to_seq,
        valid: Some(valid),
        checked: verdict.checked,
        first_bad_seq,
        erased: verdict.erased.len() as u64,
        faults: verdict.faults.into_iter().take(MAX_FAULTS).collect(),
    };
    (verification, name, data)
}
