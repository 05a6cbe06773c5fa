//! Places for API keys that are being made, so that the limit holds for requests at the same moment.

use std::collections::BTreeMap;

use coder_core::{Timestamp, UserId};
use coder_database::Entity;
use serde::{Deserialize, Serialize};

/// Places that a person's requests have taken in an organization and that may not be in its list yet. Stands in
/// the organization's partition and lapses by itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeySlots {
    /// Until when a place counts, by the key that it is for.
    pub taken: BTreeMap<String, Timestamp>,
}

impl Entity for ApiKeySlots {
    const TYPE: &'static str = "api-key-slots";
}

impl ApiKeySlots {
    /// Seconds after which a request that has not listed its key never will.
    pub const SECONDS: i64 = 300;

    /// The id of a person's document.
    pub fn document_id(user_id: UserId) -> String {
        format!("api-key-slots:{user_id}")
    }
}
