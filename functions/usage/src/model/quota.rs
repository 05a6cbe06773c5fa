//! Quotas: how much may be used in a period.

use coder_core::UserId;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Dimensions;
use crate::decimal::Quantity;
use crate::pattern;
use crate::period::Period;

coder_core::id_type!(/// A quota of an organization.
    QuotaId);

/// How much may be used in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// The name.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Whose use counts.
    pub scope: QuotaScope,
    /// The team, project or person; only with these scopes.
    #[schemars(length(max = 36))]
    pub scope_id: Option<String>,
    /// A category code, one with all below it (`ai.*`), or `*`.
    #[schemars(regex(pattern = pattern::PATTERN), length(max = 66))]
    pub category_pattern: String,
    /// A metric's key, or `cost` in minor units.
    #[schemars(regex(pattern = pattern::METRIC))]
    pub metric: String,
    /// Only use with these dimensions counts, from the creation of the quota on.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub dimension_filters: Dimensions,
    /// The period of the calendar in UTC, after which counting begins anew.
    pub period: Period,
    /// How much may be used.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub limit: Quantity,
    /// When to warn, in percent of the limit.
    #[serde(default = "warn_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub warn_percent: u32,
    /// When to warn loudly, in percent of the limit; more than `warnPercent`.
    #[serde(default = "critical_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub critical_percent: u32,
    /// What happens above the limit.
    pub action: Action,
    /// Whether it is in force.
    #[serde(default = "active")]
    pub active: bool,
}

/// Whose use a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaScope {
    /// Everybody's together.
    Organization,
    /// A team's.
    Team,
    /// A project's.
    Project,
    /// One person's.
    User,
    /// Each person's for itself.
    EachUser,
}

/// What happens above a limit, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An alert, and nothing else.
    Warn,
    /// One request in ten seconds for each person.
    Throttle,
    /// Nothing more is allowed.
    Block,
}

fn warn_percent() -> u32 {
    80
}

fn critical_percent() -> u32 {
    95
}

pub(super) fn active() -> bool {
    true
}

impl Entity for Quota {
    const TYPE: &'static str = "quota";
}

impl QuotaScope {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Team => "team",
            Self::Project => "project",
            Self::User => "user",
            Self::EachUser => "each_user",
        }
    }
}

impl Quota {
    /// What no other quota of the organization has.
    pub fn unique(&self) -> [String; 6] {
        [
            self.scope.as_str().to_owned(),
            self.scope_id.clone().unwrap_or_default(),
            self.category_pattern.clone(),
            self.metric.clone(),
            serde_json::to_string(&self.dimension_filters).unwrap_or_default(),
            format!("{:?}", self.period),
        ]
    }

    /// Whether the quota is this person's alone.
    pub fn is_of(&self, user_id: UserId) -> bool {
        self.scope == QuotaScope::User && self.scope_id == Some(user_id.to_string())
    }
}
