//! Retention policies: how long entries are kept.

use coder_core::Timestamp;
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::{Category, Entry, Severity};

/// Which entries a policy is for; all that is named must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyMatch {
    /// The kind of act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// The severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// What the action begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 120))]
    pub action_prefix: Option<String>,
}

impl PolicyMatch {
    /// Whether the policy is for the entry.
    pub fn fits(&self, entry: &Entry) -> bool {
        self.category.is_none_or(|category| category == entry.category)
            && self.severity.is_none_or(|severity| severity == entry.severity)
            && self.action_prefix.as_ref().is_none_or(|prefix| entry.action.starts_with(prefix.as_str()))
    }
}

/// How long some entries are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionPolicy {
    /// Which entries.
    #[serde(rename = "match")]
    pub matches: PolicyMatch,
    /// How long, from the act on.
    pub retention_days: u32,
    /// Whether a removed month is archived.
    pub archive: bool,
    /// Whether the time can only be made longer.
    pub immutable: bool,
    /// What holds instead until `changesAt`: a shortened time takes effect seven days later.
    pub former_days: Option<u32>,
    /// When a shortened time takes effect.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub changes_at: Option<Timestamp>,
    /// When a deleted policy ends.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ends_at: Option<Timestamp>,
    /// Whether the platform ships it.
    #[serde(default)]
    pub built_in: bool,
}

impl Entity for RetentionPolicy {
    const TYPE: &'static str = "retention-policy";
}

impl RetentionPolicy {
    /// The days that hold at a time; none once the policy has ended.
    pub fn days_at(&self, now: Timestamp) -> Option<u32> {
        if self.ends_at.is_some_and(|end| end <= now) {
            return None;
        }
        match (self.former_days, self.changes_at) {
            (Some(former), Some(at)) if now < at => Some(former.max(self.retention_days)),
            _ => Some(self.retention_days),
        }
    }
}

impl Example for RetentionPolicy {
    fn example() -> Self {
        Self {
            matches: PolicyMatch { category: Some(Category::Security), ..PolicyMatch::default() },
            retention_days: 1095,
            archive: false,
            immutable: false,
            former_days: None,
            changes_at: None,
            ends_at: None,
            built_in: false,
        }
    }
}
