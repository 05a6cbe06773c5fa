//! Checkpoints: the Merkle root over the entries since the last one, signed by `auth`. One covers entries of a single
//! month, so that a removed month takes whole checkpoints with it.

use coder_core::{Code, Failure, Problem, Result};
use coder_database::{Direction, Filter, Query, Record, Transaction};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Logging;
use super::evidence::WINDOW;
use super::search::Search;
use crate::chain::{Hash, hex, merkle, unhex};
use crate::model::{Checkpoint, CheckpointId, PublicKey, Trail, derived};

/// A signature of `auth`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    jws: String,
    kid: String,
    public_jwk: Value,
}

/// An inclusion proof.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The place of the entry among those of the checkpoint.
    pub index: usize,
    /// Entries of the checkpoint.
    pub size: usize,
    /// The audit path, lowest first.
    pub path: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: Record<Checkpoint>,
}

impl Logging {
    /// The last checkpoint.
    pub async fn last_checkpoint(&self, trail: Trail) -> Result<Option<Record<Checkpoint>>> {
        let query = Query::new(None).order_by("toSeq", Direction::Descending).limit(1);
        Ok(self.checkpoints.page(&trail.config(), &query).await?.0.into_iter().next())
    }

    /// Prepares the next checkpoint, if there are entries that none covers: its id and content.
    pub(crate) async fn next_checkpoint(&self, trail: Trail) -> Result<Option<(CheckpointId, Checkpoint)>> {
        let before = self.last_checkpoint(trail).await?;
        let from = before.as_ref().map_or(1, |before| before.data.to_seq + 1);
        let heads = self.heads_of(trail).await?;
        let Some(month) = heads.iter().find(|head| head.data.last_seq >= from) else { return Ok(None) };
        let to = month.data.last_seq.min(from.saturating_add(WINDOW - 1));
        let hashes = self.hashes(trail, from, to).await?;
        let (Some(head_hash), true) = (hashes.last(), hashes.len() as u64 == to - from + 1) else {
            let detail = "Entries are missing, so no checkpoint can be made; verify the log.";
            return Err(Failure::problem(Code::InvalidState, detail));
        };
        let leaves: Vec<Hash> = hashes.iter().map(|hash| merkle::leaf(hash)).collect();
        let payload = json!({
            "organizationId": trail.name(), "fromSeq": from, "toSeq": to, "merkleRoot": hex(&merkle::root(&leaves)),
            "headHash": hex(head_hash), "previousCheckpointId": before.as_ref().map(|before| &before.meta.id),
        });
        let signed = self.signed(&payload).await?;
        let checkpoint = Checkpoint {
            from_seq: from,
            to_seq: to,
            merkle_root: hex(&merkle::root(&leaves)),
            head_hash: hex(head_hash),
            previous_checkpoint_id: before.map(|before| before.meta.id),
            signature: signed.jws,
            kid: signed.kid,
        };
        // The id follows from where it begins: of two that are made at once, the store takes one.
        Ok(Some((derived(&["checkpoint", &trail.name(), &from.to_string()]).into(), checkpoint)))
    }

    async fn signed(&self, payload: &Value) -> Result<Signed> {
        let path = "/internal/checkpoints/sign";
        let answer = self.peers.call("auth", Method::POST, path, Some(payload)).await?;
        let signed: Signed = answer.success("auth")?;
        let platform = Trail::Platform.config();
        if self.keys.find(&platform, &signed.kid).await?.is_none() {
            let mut transaction = self.own_transaction(platform);
            transaction.mirror(&signed.kid, PublicKey { jwk: signed.public_jwk.clone() })?;
            self.commit_own(transaction).await?;
        }
        Ok(signed)
    }

    /// The stored hashes of a range, in order.
    pub(crate) async fn hashes(&self, trail: Trail, from: u64, to: u64) -> Result<Vec<Hash>> {
        let entries = self.first(&Search::numbered(trail, from, to), usize::MAX).await?;
        Ok(entries.iter().filter_map(|entry| unhex(entry.body["hash"].as_str()?)).collect())
    }

    /// Proves that the entry with this number is in the chain.
    pub async fn proof(&self, trail: Trail, seq: u64) -> Result<Proof> {
        let covering = Filter::Le("fromSeq".into(), seq.into()).and(Filter::Ge("toSeq".into(), seq.into()));
        let (found, _) = self.checkpoints.page(&trail.config(), &Query::new(covering).limit(1)).await?;
        let Some(checkpoint) = found.into_iter().next() else {
            let detail = "Checkpoints are made every hour; `POST /api/logging/checkpoints` makes one now.";
            return Err(Problem::new(Code::NotCheckpointed, detail).into());
        };
        let Checkpoint { from_seq, to_seq, .. } = checkpoint.data;
        let hashes = self.hashes(trail, from_seq, to_seq).await?;
        let leaves: Vec<Hash> = hashes.iter().map(|hash| merkle::leaf(hash)).collect();
        let index = usize::try_from(seq - from_seq).map_err(Failure::internal)?;
        if leaves.len() as u64 != to_seq - from_seq + 1 {
            let detail = "Entries that the checkpoint covers are missing; verify the log.";
            return Err(Failure::problem(Code::InvalidState, detail));
        }
        Ok(Proof { index, size: leaves.len(), path: merkle::path(index, &leaves), checkpoint })
    }
}

/// Writes a prepared checkpoint in the transaction.
pub(crate) fn add_checkpoint(
    unit: &mut Transaction,
    id: CheckpointId,
    checkpoint: Checkpoint,
) -> Result<Record<Checkpoint>> {
    let Checkpoint { to_seq, merkle_root, .. } = &checkpoint;
    let data = json!({"checkpointId": id, "toSeq": to_seq, "merkleRoot": merkle_root});
    unit.emit("checkpoint.created", &id.to_string(), data);
    unit.create(id, checkpoint)
}
