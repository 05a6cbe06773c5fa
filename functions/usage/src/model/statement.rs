//! Statements: what a month cost, ready to be billed.

use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Dimensions;
use crate::decimal::Quantity;
use crate::pattern;
use crate::period::Month;

/// What a month cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// The month.
    pub month: Month,
    /// Whether the month is open: lines and total can still change.
    pub provisional: bool,
    /// The lines.
    pub lines: Vec<StatementLine>,
    /// The sum of the lines, in minor units.
    pub total_minor: i64,
    /// ISO 4217; null without any price.
    #[schemars(regex(pattern = pattern::CURRENCY))]
    pub currency: Option<String>,
}

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatementLine {
    /// The category.
    pub category_code: String,
    /// The dimensions that the price was for.
    pub dimensions: Dimensions,
    /// The metric that is counted: the price's, else the category's primary one.
    pub metric: String,
    /// How much of it.
    pub quantity: Quantity,
    /// Minor units, rounded half-even.
    pub amount_minor: i64,
    /// The closed month that the use was in; null for this statement's own.
    pub adjustment_of: Option<Month>,
}

impl Entity for Statement {
    const TYPE: &'static str = "statement";
}

impl Statement {
    /// The id of the document.
    pub fn document_id(month: Month) -> String {
        format!("statement:{month}")
    }
}
