//! Alerts: a threshold that was reached.

use coder_core::{Timestamp, UserId};
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decimal::Quantity;

/// Days that an alert is kept.
pub const RETENTION_DAYS: i64 = 400;

/// A threshold that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What happened.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// The quota's or budget's id, or the category's code.
    pub subject_id: String,
    /// The person, for a quota that each has.
    pub user_id: Option<UserId>,
    /// The metric; `cost` for money in minor units.
    pub metric: String,
    /// The value when it was opened.
    pub current_value: Quantity,
    /// The value that was reached.
    pub threshold_value: Quantity,
    /// When the period began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub period_start: Timestamp,
    /// When it ends; the alert is then resolved.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub period_end: Timestamp,
}

/// What an alert tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// `warnPercent` of a quota.
    QuotaWarning,
    /// `criticalPercent` of a quota.
    QuotaCritical,
    /// A quota is used up.
    QuotaExceeded,
    /// A threshold of a budget.
    BudgetThreshold,
    /// A budget will not last.
    BudgetForecast,
    /// A day unlike those before.
    Anomaly,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has looked yet.
    Active,
    /// Somebody has.
    Acknowledged,
    /// The cause is gone.
    Resolved,
}

impl Entity for Alert {
    const TYPE: &'static str = "alert";
}

impl AlertKind {
    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QuotaWarning => "quota_warning",
            Self::QuotaCritical => "quota_critical",
            Self::QuotaExceeded => "quota_exceeded",
            Self::BudgetThreshold => "budget_threshold",
            Self::BudgetForecast => "budget_forecast",
            Self::Anomaly => "anomaly",
        }
    }
}

impl Alert {
    /// The document's id: one alert for each threshold and period.
    pub fn document_id(&self) -> String {
        let person = self.user_id.map(|id| id.to_string()).unwrap_or_default();
        let threshold = self.threshold_value.0.to_string();
        let start = self.period_start.to_string();
        // What is unlike other days is found once, whatever it is compared with.
        let threshold = if self.kind == AlertKind::Anomaly { "" } else { &threshold };
        let parts = [&self.subject_id, &person, &self.metric, self.kind.as_str(), threshold, &start];
        coder_core::text::sha256_hex(&parts)
    }
}
