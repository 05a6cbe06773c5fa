//! Budgets: how much money may be spent in a period.

use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Action;
use super::quota::active;
use crate::pattern;
use crate::period::Period;

coder_core::id_type!(/// A budget of an organization.
    BudgetId);

/// How much money may be spent in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// The name.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Whose costs count.
    pub scope: BudgetScope,
    /// The team or project; only with these scopes.
    #[schemars(length(max = 36))]
    pub scope_id: Option<String>,
    /// A category code, one with all below it (`ai.*`), or `*`.
    #[serde(default = "everything")]
    #[schemars(regex(pattern = pattern::PATTERN), length(max = 66))]
    pub category_pattern: String,
    /// The period of the calendar in UTC.
    pub period: BudgetPeriod,
    /// How much, in minor units of the currency.
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub amount_minor: i64,
    /// ISO 4217; costs in another currency do not count.
    #[schemars(regex(pattern = pattern::CURRENCY))]
    pub currency: String,
    /// When to alert, in percent of the amount.
    #[serde(default = "thresholds")]
    #[schemars(length(max = 5), inner(range(min = 1, max = 1000)))]
    pub thresholds: Vec<u32>,
    /// Whether to alert when the forecast for the whole period is above the amount.
    #[serde(default)]
    pub forecast_alert: bool,
    /// What happens above the amount.
    #[serde(default = "warn")]
    pub action: Action,
    /// Whether it is in force.
    #[serde(default = "active")]
    pub active: bool,
}

/// Whose costs a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// Everybody's together.
    Organization,
    /// A team's.
    Team,
    /// A project's.
    Project,
}

/// The periods of budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum BudgetPeriod {
    Month,
    Quarter,
    Year,
}

impl From<BudgetPeriod> for Period {
    fn from(period: BudgetPeriod) -> Self {
        match period {
            BudgetPeriod::Month => Self::Month,
            BudgetPeriod::Quarter => Self::Quarter,
            BudgetPeriod::Year => Self::Year,
        }
    }
}

fn everything() -> String {
    "*".to_owned()
}

fn thresholds() -> Vec<u32> {
    vec![50, 80, 100]
}

fn warn() -> Action {
    Action::Warn
}

impl Entity for Budget {
    const TYPE: &'static str = "budget";
}
