//! Alert rules, the alerts that they raise, and the bookkeeping of both.

use coder_core::Timestamp;
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::Severity;
use crate::service::filter::EntryFilter;

/// How a rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Every entry that matches.
    Pattern,
    /// So many in a sliding window.
    Threshold,
    /// The first time in 90 days that an actor does such a thing.
    Rare,
}

/// What a threshold counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GroupBy {
    /// Who acted.
    #[serde(rename = "actor.id")]
    ActorId,
    /// Whence.
    #[serde(rename = "actor.ipAddress")]
    ActorIpAddress,
    /// On what.
    #[serde(rename = "resourceId")]
    ResourceId,
}

/// Who is told of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "id", rename_all = "lowercase")]
pub enum Notify {
    /// A person.
    User(#[schemars(length(min = 1, max = 64))] String),
    /// Everybody with a role.
    Role(#[schemars(length(min = 1, max = 64))] String),
}

/// A rule that raises alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRule {
    /// The name; unique in the organization whatever its case.
    pub name: String,
    /// How it decides.
    pub kind: RuleKind,
    /// Which entries it looks at.
    pub filter: EntryFilter,
    /// What it counts apart.
    pub group_by: Vec<GroupBy>,
    /// How many entries it takes; of `threshold` only.
    pub threshold: u32,
    /// In how long; of `threshold` only.
    pub window_seconds: u32,
    /// How long it stays quiet about the same group.
    pub cooldown_seconds: u32,
    /// How much its alerts matter.
    pub severity: Severity,
    /// Who is told.
    pub notify: Vec<Notify>,
    /// Whether it works.
    pub enabled: bool,
    /// Whether the platform ships it.
    #[serde(default)]
    pub built_in: bool,
}

impl Entity for AlertRule {
    const TYPE: &'static str = "alert-rule";
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Nobody looked at it.
    Open,
    /// Somebody looks at it.
    Acknowledged,
    /// It is dealt with.
    Closed,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The rule.
    pub rule_id: String,
    /// The rule's name at the time.
    pub name: String,
    /// How much it matters.
    pub severity: Severity,
    /// What was counted apart: the values of the rule's `groupBy`, joined by `|`.
    pub group_key: String,
    /// Entries so far.
    pub count: u64,
    /// The first of them.
    pub first_entry_id: String,
    /// The last of them.
    pub last_entry_id: String,
    /// Where it stands.
    pub state: AlertState,
}

impl Entity for Alert {
    const TYPE: &'static str = "alert";
}

impl Example for Alert {
    fn example() -> Self {
        Self {
            rule_id: coder_core::id::EXAMPLE.to_string(),
            name: "Failed logins".to_owned(),
            severity: Severity::Warn,
            group_key: "203.0.113.9".to_owned(),
            count: 5,
            first_entry_id: coder_core::id::EXAMPLE.to_string(),
            last_entry_id: coder_core::id::EXAMPLE.to_string(),
            state: AlertState::Open,
        }
    }
}

/// How far the rules have looked; `alert-position`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertPosition {
    /// The last entry that was looked at.
    pub last_seq: u64,
}

impl AlertPosition {
    /// The only id.
    pub const ID: &'static str = "alert-position";
}

impl Entity for AlertPosition {
    const TYPE: &'static str = "alert-position";
}

/// That a rule stays quiet about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertCooldown {
    /// The alert that was raised.
    pub alert_id: String,
    /// Until when.
    pub until: Timestamp,
}

impl Entity for AlertCooldown {
    const TYPE: &'static str = "alert-cooldown";
}
