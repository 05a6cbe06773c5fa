//! The record of a request that was answered under an idempotency key.

use serde::{Deserialize, Serialize};

use crate::entity::Entity;

/// Seconds for which an answer is replayed.
pub const WINDOW_SECONDS: i64 = 24 * 3600;

/// An answered request; in the partition of its write, so that both happen or neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotencyRecord {
    /// HMAC-SHA-256 of method, path, query and body.
    pub request_mac: String,
    /// The answer, encrypted: it can hold what is shown only once.
    pub sealed_answer: String,
}

impl Entity for IdempotencyRecord {
    const TYPE: &'static str = "idempotency";
}

/// The id of the record of a caller's key.
pub fn record_id(caller: &str, key: &str) -> String {
    format!("idempotency:{}", coder_core::text::sha256_hex(&[caller, key]))
}
