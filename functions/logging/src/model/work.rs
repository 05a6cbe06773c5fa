//! Verifications and erasures: what was asked, and what came of it.

use coder_core::UserId;
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chain::Fault;

/// Where a piece of work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkStatus {
    /// Waits.
    Queued,
    /// A job works on it.
    Running,
    /// Done.
    Succeeded,
}

/// A verification of a range of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Where it stands.
    pub status: WorkStatus,
    /// The first entry.
    pub from_seq: u64,
    /// The last entry.
    pub to_seq: u64,
    /// Whether no fault was found; null until it is known.
    pub valid: Option<bool>,
    /// Entries that were looked at.
    pub checked: u64,
    /// The first entry with a fault.
    pub first_bad_seq: Option<u64>,
    /// What was found, at most 1,000.
    pub faults: Vec<Fault>,
    /// Entries whose payload was erased, which is no fault.
    pub erased: u64,
}

impl Entity for Verification {
    const TYPE: &'static str = "verification";
}

impl Verification {
    /// One that is yet to run.
    pub fn queued(from_seq: u64, to_seq: u64) -> Self {
        Self {
            status: WorkStatus::Queued,
            from_seq,
            to_seq,
            valid: None,
            checked: 0,
            first_bad_seq: None,
            faults: Vec::new(),
            erased: 0,
        }
    }
}

impl Example for Verification {
    fn example() -> Self {
        Self { status: WorkStatus::Succeeded, valid: Some(true), checked: 42, ..Self::queued(1, 42) }
    }
}

/// An erasure of what entries say of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Who.
    pub user_id: UserId,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub status: WorkStatus,
    /// Entries that lost their payload.
    pub entries: u64,
}

impl Entity for Erasure {
    const TYPE: &'static str = "erasure";
}

impl Example for Erasure {
    fn example() -> Self {
        let reason = "Request under Article 17 GDPR".to_owned();
        Self { user_id: coder_core::id::EXAMPLE.into(), reason, status: WorkStatus::Queued, entries: 0 }
    }
}
