//! Metered events; they never change.

use std::collections::BTreeMap;

use coder_core::Timestamp;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dimensions, PriceId, Subject};
use crate::decimal::{Decimal, Quantity};

/// Days that an event is kept.
pub const RETENTION_DAYS: i64 = 100;

/// A metered activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageEvent {
    /// Who measured it.
    #[schemars(length(min = 1, max = 64))]
    pub source: String,
    /// The source's own id of it.
    #[schemars(length(min = 1, max = 128))]
    pub event_id: String,
    /// What kind of use it is.
    #[schemars(length(max = 64))]
    pub category_code: String,
    /// Who or what used it.
    pub subject: Subject,
    /// How much.
    pub metrics: BTreeMap<String, Quantity>,
    /// Particulars.
    pub dimensions: Dimensions,
    /// When it happened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub occurred_at: Timestamp,
    /// What it costs; nothing if it has no price.
    pub cost: Option<Cost>,
    /// Whether there was no price for it.
    pub unpriced: bool,
}

/// What an event costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Minor units of the currency, with six decimals.
    pub amount: Decimal,
    /// ISO 4217.
    #[schemars(length(max = 3))]
    pub currency: String,
    /// The price that was applied.
    pub price_id: PriceId,
}

impl Entity for UsageEvent {
    const TYPE: &'static str = "event";
}

/// The document's id: what makes an event count once.
pub fn event_id(source: &str, event_id: &str) -> String {
    coder_core::text::sha256_hex(&[format!("{source}|{event_id}")])
}

/// Which of `shards` an event's counters are in, by its document id.
pub fn shard(document_id: &str, shards: u8) -> u8 {
    let digits = document_id.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    digits.unwrap_or(0) % shards
}

#[cfg(test)]
mod tests {
    use super::event_id;

    #[test]
    fn an_event_is_one_by_its_source_and_id() {
        let id = event_id("build-server", "1");
        assert_eq!(id, event_id("build-server", "1"));
        assert!(id != event_id("another", "1") && id != event_id("build-server", "2"));
    }
}
