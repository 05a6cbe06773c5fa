//! Claims: documents that make a value unique in a partition, because their id is made from it.

use serde::{Deserialize, Serialize};

use crate::entity::Entity;

/// A claim on a unique value by one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// What is unique, such as `team-name`.
    pub kind: String,
    /// The id of the document that holds the value.
    pub owner_id: String,
}

impl Entity for Claim {
    const TYPE: &'static str = "claim";
}

/// The id of the claim on a value: the value itself does not show.
pub fn claim_id(kind: &str, value: &[&str]) -> String {
    format!("claim:{kind}:{}", coder_core::text::sha256_hex(value))
}
