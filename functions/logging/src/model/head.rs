//! Where a month of a chain stands, and what is left of a removed one.

use coder_core::Timestamp;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trail::Month;

/// The state of a month's chain; replaced, under its tag, with the entries that it covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The month.
    pub month: Month,
    /// The month before that has entries.
    pub previous_month: Option<Month>,
    /// The number of the month's first entry.
    pub first_seq: u64,
    /// The number of the last.
    pub last_seq: u64,
    /// The hash of the last.
    pub last_hash: String,
    /// Entries of the month.
    pub count: u64,
    /// What the month's first entry links to.
    pub first_prev_hash: String,
    /// Nothing can be added any more: the next month has begun.
    pub closed: bool,
    /// The month that follows a closed one; settled with the closing, so that it is the same for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_month: Option<Month>,
}

impl Head {
    /// The id in each month.
    pub const ID: &'static str = "head";
}

impl Entity for Head {
    const TYPE: &'static str = "head";
}

/// What is left of a month that retention removed: enough to verify what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// The month.
    #[schemars(with = "String")]
    pub month: Month,
    /// The number of its first entry.
    pub first_seq: u64,
    /// The number of its last.
    pub last_seq: u64,
    /// What its first entry linked to.
    pub first_prev_hash: String,
    /// The hash of its last.
    pub last_hash: String,
    /// The Merkle root over its entries.
    pub merkle_root: String,
    /// How many they were.
    pub count: u64,
    /// Where they are archived.
    pub archive_uri: Option<String>,
    /// When they were removed.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub removed_at: Timestamp,
}

impl Entity for Segment {
    const TYPE: &'static str = "segment";
}

impl Segment {
    /// The id of a month's segment.
    pub fn document_id(month: Month) -> String {
        format!("segment:{month}")
    }
}

/// That an organization was purged: what arrives late for it goes to the platform's chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {}

impl Purged {
    /// The only id.
    pub const ID: &'static str = "purged";
}

impl Entity for Purged {
    const TYPE: &'static str = "purged";
}

/// In which month a chain begins; settled by whoever creates this first, so that it begins once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// The month.
    pub month: Month,
}

impl Beginning {
    /// The id in each chain's settings.
    pub const ID: &'static str = "beginning";
}

impl Entity for Beginning {
    const TYPE: &'static str = "beginning";
}
