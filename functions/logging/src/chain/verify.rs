//! Verification: everything is computed again from what is stored, and every difference is a fault at the entry where
//! it shows.
//!
//! Every field of an entry is covered, but `updatedAt`, `updatedBy` and `etag`, which change when a payload is erased
//! and say nothing of the act. The mark `erased` is not hashed either, since it comes later: an entry that has it must
//! have no payload, and is listed. That an erasure was asked for is an entry of its own.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ACTOR, Hash, PAYLOAD, STATEMENT, entry_hash, genesis, hex, jws, merkle, payload_hash, unhex};

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The entry is not the one that was hashed.
    HashMismatch,
    /// The entry does not follow the one before, or the head or checkpoint does not fit what it covers.
    BrokenLink,
    /// The entry is missing.
    Gap,
    /// Message, changes, metadata or details of the actor are not those that were hashed.
    PayloadMismatch,
    /// The signature of the checkpoint that ends here does not hold.
    BadSignature,
    /// The checkpoint that ends here covers other entries than these.
    RootMismatch,
}

/// A fault at an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The entry's number.
    pub seq: u64,
    /// What does not fit.
    pub code: FaultKind,
}

/// What is verified: stored documents of one chain, in any order, as they were read.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Whose chain: the organization's id, or `platform`.
    pub name: &'a str,
    /// The entries of the range, and the one before it if there is one.
    pub entries: &'a [Value],
    /// The heads of the months that the range touches.
    pub heads: &'a [Value],
    /// What is left of removed months.
    pub segments: &'a [Value],
    /// The checkpoints that overlap the range.
    pub checkpoints: &'a [Value],
    /// Public keys (JWKs) by which checkpoints may be signed.
    pub keys: &'a [Value],
}

/// What came of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that were there and looked at.
    pub checked: u64,
    /// Every fault, by the number of the entry.
    pub faults: Vec<Fault>,
    /// Entries whose payload was erased.
    pub erased: Vec<u64>,
}

impl Verdict {
    /// The first entry with a fault.
    pub fn first_bad_seq(&self) -> Option<u64> {
        self.faults.iter().map(|fault| fault.seq).min()
    }

    fn fault(&mut self, seq: u64, code: FaultKind) {
        let fault = Fault { seq, code };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// Verifies the entries `from` to `to`, both included.
pub fn verify(evidence: &Evidence<'_>, from: u64, to: u64) -> Verdict {
    let mut verdict = Verdict::default();
    let entries = by_seq(evidence.entries, from, to, &mut verdict);
    let mut expected = before(evidence, &entries, from);
    let mut seq = from;
    while seq <= to {
        if let Some(segment) = evidence.segments.iter().find(|one| covers(one, "firstSeq", "lastSeq", seq)) {
            link(&mut verdict, seq, expected, hash(segment, "firstPrevHash"));
            expected = hash(segment, "lastHash");
            seq = number(segment, "lastSeq").saturating_add(1);
            continue;
        }
        expected = match entries.get(&seq) {
            Some(entry) => {
                verdict.checked += 1;
                link(&mut verdict, seq, expected, hash(entry, "prevHash"));
                examine(evidence.name, seq, entry, &mut verdict);
                hash(entry, "hash")
            }
            None => {
                verdict.fault(seq, FaultKind::Gap);
                None
            }
        };
        seq += 1;
    }
    check_heads(evidence, &entries, from, to, &mut verdict);
    check_checkpoints(evidence, &entries, from, to, &mut verdict);
    verdict.faults.sort_by_key(|fault| fault.seq);
    verdict
}

fn number(document: &Value, name: &str) -> u64 {
    document.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn hash(document: &Value, name: &str) -> Option<Hash> {
    unhex(document.get(name)?.as_str()?)
}

fn covers(document: &Value, first: &str, last: &str, seq: u64) -> bool {
    (number(document, first)..=number(document, last)).contains(&seq)
}

fn by_seq<'a>(entries: &'a [Value], from: u64, to: u64, verdict: &mut Verdict) -> BTreeMap<u64, &'a Value> {
    let mut found = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["type"] == "entry") {
        let seq = number(entry, "seq");
        if found.insert(seq, entry).is_some() && (from..=to).contains(&seq) {
            verdict.fault(seq, FaultKind::HashMismatch);
        }
    }
    found
}

/// What the first entry of the range must link to, as far as the evidence tells.
fn before(evidence: &Evidence<'_>, entries: &BTreeMap<u64, &Value>, from: u64) -> Option<Hash> {
    let Some(previous) = from.checked_sub(1).filter(|previous| *previous > 0) else {
        return Some(genesis(evidence.name));
    };
    if let Some(entry) = entries.get(&previous) {
        return hash(entry, "hash");
    }
    let segment = evidence.segments.iter().find(|segment| number(segment, "lastSeq") == previous)?;
    hash(segment, "lastHash")
}

fn link(verdict: &mut Verdict, seq: u64, expected: Option<Hash>, found: Option<Hash>) {
    if expected.is_some_and(|expected| found != Some(expected)) {
        verdict.fault(seq, FaultKind::BrokenLink);
    }
}

/// The fields that the server keeps beside what is hashed.
const KEPT: [&str; 13] = [
    "type",
    "createdAt",
    "createdBy",
    "updatedAt",
    "updatedBy",
    "etag",
    "partitionKey",
    "bucket",
    "payloadSalt",
    "payloadHash",
    "prevHash",
    "hash",
    "actor",
];

fn examine(name: &str, seq: u64, entry: &Value, verdict: &mut Verdict) {
    if entry_hash(entry) != hash(entry, "hash") || hash(entry, "hash").is_none() || !kept(name, entry) {
        verdict.fault(seq, FaultKind::HashMismatch);
    }
    if entry.get("erased").is_some_and(Value::is_object) {
        verdict.erased.push(seq);
        let details = entry["actor"].as_object().is_some_and(|actor| actor.len() > ACTOR.len());
        if details || ["payloadSalt"].iter().chain(&PAYLOAD).any(|name| entry.get(*name).is_some()) {
            verdict.fault(seq, FaultKind::PayloadMismatch);
        }
    } else if payload_hash(entry).is_none() || payload_hash(entry) != hash(entry, "payloadHash") {
        verdict.fault(seq, FaultKind::PayloadMismatch);
    }
}

/// Whether the fields outside the hashes repeat what is inside, and there are no others.
fn kept(name: &str, entry: &Value) -> bool {
    let known = |field: &str| {
        field == "erased" || [&KEPT[..], &STATEMENT, &PAYLOAD].iter().any(|names| names.contains(&field))
    };
    let same = |field: &str, wanted: &str| entry.get(field).is_none_or(|value| value == wanted);
    let key = if name == "platform" { name.to_owned() } else { format!("org:{name}") };
    let received = entry["receivedAt"].as_str().unwrap_or_default();
    entry.as_object().is_some_and(|fields| fields.keys().all(|field| known(field)))
        && same("partitionKey", &key)
        && same("bucket", received.get(..7).unwrap_or_default())
        && same("createdAt", received)
        && entry.get("createdBy").is_none_or(|by| *by == entry["actor"]["id"])
        && entry.get("erased").is_none_or(Value::is_object)
}

fn check_heads(
    evidence: &Evidence<'_>,
    entries: &BTreeMap<u64, &Value>,
    from: u64,
    to: u64,
    verdict: &mut Verdict,
) {
    for head in evidence.heads {
        let (first, last) = (number(head, "firstSeq"), number(head, "lastSeq"));
        if (from..=to).contains(&first)
            && let Some(entry) = entries.get(&first)
        {
            link(verdict, first, hash(head, "firstPrevHash"), hash(entry, "prevHash"));
        }
        if (from..=to).contains(&last)
            && let Some(entry) = entries.get(&last)
            && (hash(entry, "hash") != hash(head, "lastHash") || number(head, "count") != last + 1 - first)
        {
            verdict.fault(last, FaultKind::BrokenLink);
        }
    }
}

fn check_checkpoints(
    evidence: &Evidence<'_>,
    entries: &BTreeMap<u64, &Value>,
    from: u64,
    to: u64,
    verdict: &mut Verdict,
) {
    let known: BTreeSet<&str> = evidence.checkpoints.iter().filter_map(|one| one["id"].as_str()).collect();
    for checkpoint in evidence.checkpoints {
        let (first, last) = (number(checkpoint, "fromSeq"), number(checkpoint, "toSeq"));
        if !(from..=to).contains(&last) {
            continue;
        }
        if !signed(evidence, checkpoint) {
            verdict.fault(last, FaultKind::BadSignature);
        }
        if first > from && !checkpoint["previousCheckpointId"].as_str().is_some_and(|id| known.contains(id)) {
            verdict.fault(first, FaultKind::BrokenLink);
        }
        let covered: Option<Vec<Hash>> = (first.max(1)..=last)
            .map(|seq| entries.get(&seq).and_then(|entry| hash(entry, "hash")))
            .collect();
        // Without every entry there is nothing to compare: a missing one is a fault of its own.
        let Some(covered) = covered.filter(|_| first >= from) else { continue };
        let leaves: Vec<Hash> = covered.iter().map(|hash| merkle::leaf(hash)).collect();
        let root = hex(&merkle::root(&leaves));
        let head = covered.last().map(|hash| hex(hash)).unwrap_or_default();
        if checkpoint["merkleRoot"] != root || checkpoint["headHash"] != head {
            verdict.fault(last, FaultKind::RootMismatch);
        }
    }
}

/// Whether the signature is good and says what the document says.
fn signed(evidence: &Evidence<'_>, checkpoint: &Value) -> bool {
    let jws = checkpoint["signature"].as_str().unwrap_or_default();
    let Some(payload) = jws::payload(jws, evidence.keys) else { return false };
    let names = ["fromSeq", "toSeq", "merkleRoot", "headHash", "previousCheckpointId"];
    let same = names.iter().all(|name| {
        payload.get(name).filter(|value| !value.is_null())
            == checkpoint.get(name).filter(|value| !value.is_null())
    });
    same && payload["organizationId"] == evidence.name
}
