//! Prices: what use costs.

use coder_core::Timestamp;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Dimensions;
use crate::decimal::{Decimal, Quantity};
use crate::pattern;

coder_core::id_type!(/// A price.
    PriceId);

/// What use of a category costs, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// The category; those below it cost the same unless they have prices of their own.
    #[schemars(regex(pattern = pattern::CODE), length(max = 64))]
    pub category_code: String,
    /// Only use with these dimensions costs this.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub dimension_filters: Dimensions,
    /// How the cost is calculated.
    pub model: PriceModel,
    /// What each metric costs; only with `components`.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub components: Vec<Component>,
    /// The metric that tiers and packages count; only with `graduated`, `volume` and `package`.
    #[schemars(regex(pattern = pattern::METRIC))]
    pub metric: Option<String>,
    /// The tiers, rising, the last without an end; for a package its size and amount; for `flat` the amount.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub tiers: Vec<Tier>,
    /// ISO 4217; all prices of an organization have the same.
    #[schemars(regex(pattern = pattern::CURRENCY))]
    pub currency: String,
    /// From when on it holds.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub effective_from: Timestamp,
    /// When it ends.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub effective_to: Option<Timestamp>,
}

/// How a cost is calculated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceModel {
    /// So much for each metric.
    Components,
    /// Each unit costs what its tier of the month says.
    Graduated,
    /// All units of the month cost what the tier of their total says; settled when the month closes.
    Volume,
    /// So much for each begun package of the month.
    Package,
    /// So much a month, with its first event.
    Flat,
    /// Nothing.
    Free,
}

/// What a metric costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    /// The metric.
    #[schemars(regex(pattern = pattern::METRIC))]
    pub metric: String,
    /// Minor units of the currency.
    pub amount: Decimal,
    /// For so many units of the metric.
    #[schemars(extend("enum" = [1, 1000, 1_000_000, 1_073_741_824]))]
    pub per: u32,
}

/// A tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tier {
    /// The last unit of the tier; null in the last tier.
    pub up_to: Option<Quantity>,
    /// Minor units of the currency for each unit, package or month.
    pub amount: Decimal,
}

/// What all prices of an organization have in common; written with every change of a price, so that no two changes
/// miss one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PriceList {
    /// Rises with every change.
    pub revision: u64,
}

impl PriceList {
    /// The id of the document.
    pub const ID: &'static str = "price-list";
}

impl Entity for Price {
    const TYPE: &'static str = "price";
}

impl Entity for PriceList {
    const TYPE: &'static str = "price-list";
}

impl Price {
    /// Whether it holds at this time.
    pub fn holds_at(&self, time: Timestamp) -> bool {
        self.effective_from <= time && self.effective_to.is_none_or(|end| time < end)
    }
}

impl PriceModel {
    /// Whether the cost depends on the month so far.
    pub fn depends_on_month(self) -> bool {
        matches!(self, Self::Graduated | Self::Volume | Self::Package | Self::Flat)
    }
}
