//! The chain: how entries are hashed and linked, the Merkle trees over them, and the verification of all of it from
//! what is stored. Everything here works on stored documents as they are and needs neither store nor clock, so that
//! an auditor can run it elsewhere.
//!
//! - `payloadHash` = SHA-256(`payloadSalt` ‖ JCS(payload)): [`payload_hash`].
//! - `hash` = SHA-256(`prevHash` ‖ JCS(statement)): [`entry_hash`].
//! - The first `prevHash` = SHA-256(`coder-audit-v1:` ‖ organization id, or `platform`): [`genesis`].
//!
//! Salt and hashes go in as bytes; they are stored in lower-case hexadecimal.

pub mod jws;
pub mod merkle;
mod verify;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value};

pub use verify::{Evidence, Fault, FaultKind, Verdict, verify};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// The fields of an entry that its hash covers, besides the actor's type and id. `projectId` and `correlationId` are
/// left out of the hash where an entry has none.
pub const STATEMENT: [&str; 15] = [
    "id",
    "organizationId",
    "seq",
    "time",
    "receivedAt",
    "action",
    "category",
    "severity",
    "outcome",
    "resourceType",
    "resourceId",
    "source",
    "eventId",
    "projectId",
    "correlationId",
];

/// The fields of an entry that its payload hash covers, besides the actor's details.
pub const PAYLOAD: [&str; 3] = ["message", "changes", "metadata"];

/// The fields of an actor that stay when the payload is erased; the others are details.
pub const ACTOR: [&str; 2] = ["type", "id"];

/// SHA-256 of the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// A hash as it is stored.
pub fn hex(hash: &[u8]) -> String {
    HEXLOWER.encode(hash)
}

/// A stored hash.
pub fn unhex(text: &str) -> Option<Hash> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Canonical JSON (RFC 8785).
pub fn canonical(value: &Value) -> Vec<u8> {
    // Values have text keys and finite numbers only, which is all that can fail.
    serde_json_canonicalizer::to_vec(value).unwrap_or_default()
}

/// What the first entry of a chain links to. `name` is the organization's id, or `platform`.
pub fn genesis(name: &str) -> Hash {
    sha256(&[b"coder-audit-v1:", name.as_bytes()])
}

/// The hash of a stored entry's payload, if it has its salt.
pub fn payload_hash(entry: &Value) -> Option<Hash> {
    let salt = HEXLOWER.decode(entry.get("payloadSalt")?.as_str()?.as_bytes()).ok()?;
    let mut payload: Map<String, Value> = taken(entry, &PAYLOAD);
    let details = entry.get("actor")?.as_object()?.iter();
    let details: Map<String, Value> = details
        .filter(|(name, _)| !ACTOR.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    payload.insert("actor".into(), details.into());
    Some(sha256(&[&salt, &canonical(&payload.into())]))
}

/// The hash of a stored entry, from its stored `prevHash` and `payloadHash`.
pub fn entry_hash(entry: &Value) -> Option<Hash> {
    let previous = unhex(entry.get("prevHash")?.as_str()?)?;
    let mut statement = taken(entry, &STATEMENT);
    statement.insert("payloadHash".into(), entry.get("payloadHash")?.clone());
    statement.insert("actor".into(), taken(entry.get("actor")?, &ACTOR).into());
    Some(sha256(&[&previous, &canonical(&statement.into())]))
}

fn taken(from: &Value, names: &[&str]) -> Map<String, Value> {
    let present = names.iter().filter_map(|name| Some(((*name).to_owned(), from.get(*name)?.clone())));
    present.collect()
}

#[cfg(test)]
mod tests;
