//! Counters and the documents beside them that keep counting exact.

use std::collections::BTreeMap;

use coder_core::{Timestamp, UserId};
use coder_database::Entity;
use serde::{Deserialize, Serialize};

use super::Aggregation;
use crate::decimal::Decimal;

/// What one series counted in one hour, day or month in one category; one of several shards of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counter {
    /// `<hour|day|month>:<whose>`.
    pub series: String,
    /// When the hour, day or month begins.
    pub start: Timestamp,
    /// The category.
    pub category_code: String,
    /// Sums that the store increments. A quantity is two whole numbers, `<metric>_units` and `<metric>_millionths`,
    /// because a store may keep no more than 53 bits of a number; costs have the currency instead of the metric.
    pub values: BTreeMap<String, i64>,
    /// Greatest and latest values, which are replaced under the document's tag.
    #[serde(default)]
    pub gauges: BTreeMap<String, Gauge>,
}

/// A greatest or latest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gauge {
    /// [`Aggregation::Max`] or [`Aggregation::Latest`].
    pub aggregation: Aggregation,
    /// The value.
    pub value: Decimal,
    /// When it was measured.
    pub at: Timestamp,
}

impl Gauge {
    /// The one of both that counts.
    pub fn merged(self, other: Self) -> Self {
        let keep = match self.aggregation {
            Aggregation::Latest => (self.at, self.value) >= (other.at, other.value),
            _ => self.value >= other.value,
        };
        if keep { self } else { other }
    }
}

/// Somebody was counted in a series' metric that counts different people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The person.
    pub user_id: UserId,
}

/// How much was rated at a price in a month: where the next event stands among the tiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// The quantity of the price's metric.
    pub quantity: Decimal,
    /// How many events were rated.
    pub events: i64,
}

/// Whether the month's statement was closed. Every event that comes after its month writes it, so that none comes
/// in while the statement is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonthState {
    /// Later events go to a later statement.
    pub closed: bool,
    /// Writes of late events.
    pub late_writes: u64,
}

impl MonthState {
    /// The id of the document.
    pub const ID: &'static str = "month-state";
}

impl Entity for Counter {
    const TYPE: &'static str = "counter";
}

impl Entity for Seen {
    const TYPE: &'static str = "seen";
}

impl Entity for Tally {
    const TYPE: &'static str = "tally";
}

impl Entity for MonthState {
    const TYPE: &'static str = "month-state";
}
