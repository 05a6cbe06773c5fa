//! A person's authenticator app and recovery codes.

use coder_core::{Timestamp, UserId};
use coder_database::{Entity, Partition};
use serde::{Deserialize, Serialize};

/// The second factor of a person; one in their partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotpFactor {
    /// The shared secret, sealed by the vault.
    pub secret: String,
    /// Whether the person has shown a first code.
    pub state: FactorState,
    /// The last time step whose code was taken; no step is taken twice.
    pub last_accepted_step: Option<u64>,
    /// The recovery codes.
    pub recovery_codes: Vec<RecoveryCode>,
}

/// How far the enrolment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorState {
    /// Lapses by itself after [`TotpFactor::PENDING_SECONDS`].
    Pending,
    /// Asked for at every login.
    Active,
}

/// A recovery code as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCode {
    /// SHA-256 of the code.
    pub hash: String,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl Entity for TotpFactor {
    const TYPE: &'static str = "totp-factor";
    const SECRET: &'static [&'static str] = &["secret", "recoveryCodes"];
}

impl TotpFactor {
    /// The document id.
    pub const ID: &'static str = "totp-factor";
    /// Seconds to show a first code.
    pub const PENDING_SECONDS: i64 = 600;

    /// The person's partition.
    pub fn partition(user_id: UserId) -> Partition {
        Partition::user(user_id)
    }
}
