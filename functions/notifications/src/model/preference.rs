//! How somebody wants to be told: the same shape for a person and for the defaults of an organization, team or project.

use coder_core::{Fault, Problem, Timestamp};
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::{Channel, Criticality};
use crate::quiet::{self, Weekday};

/// Whose preferences they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PreferenceScope {
    /// Everybody in the organization.
    Organization,
    /// Messages of a team.
    Team,
    /// Messages of a project.
    Project,
    /// One person.
    User,
}

impl PreferenceScope {
    /// The name in documents and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Team => "team",
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// When mails are gathered into one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// Each goes by itself.
    #[default]
    None,
    /// At the full hour.
    Hourly,
    /// Once a day.
    Daily,
    /// Once a week.
    Weekly,
}

/// What is wanted of one channel. What is left out is as the layer below says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChannelPreference {
    /// Whether it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether it is used only while the person is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_when_away: Option<bool>,
    /// Whether its messages are gathered; for e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What is wanted of each channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ByChannel {
    /// The inbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox: Option<ChannelPreference>,
    /// Mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<ChannelPreference>,
    /// Web push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<ChannelPreference>,
}

impl ByChannel {
    /// What is wanted of a channel.
    pub fn of(&self, channel: Channel) -> Option<&ChannelPreference> {
        match channel {
            Channel::Inbox => self.inbox.as_ref(),
            Channel::Email => self.email.as_ref(),
            Channel::Push => self.push.as_ref(),
            Channel::Webhook | Channel::Sms => None,
        }
    }
}

/// What is wanted of some topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicPreference {
    /// A topic, or the beginning of some with a `*`: `task.*`.
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^([a-z0-9-]+\.)*([a-z0-9-]+|\*)$"))]
    pub pattern: String,
    /// Whether they are told at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Each channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<ByChannel>,
    /// Whether nobody may switch them off for inbox and e-mail; only for an organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

/// A weekly time in which nothing should disturb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins.
    #[schemars(length(min = 1, max = 7))]
    pub days: Vec<Weekday>,
    /// Local time at which it begins.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// Local time at which it ends; one that is not after the start is on the next day.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub end: String,
}

fn yes() -> bool {
    true
}

/// When nothing should disturb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuietHours {
    /// Name in the IANA time zone database.
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// The times.
    #[schemars(length(max = 14))]
    pub windows: Vec<Window>,
    /// Whether critical messages pass.
    #[serde(default = "yes")]
    pub allow_critical: bool,
}

/// What somebody can set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PreferenceWrite {
    /// Whether anything is told at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What matters less is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_criticality: Option<Criticality>,
    /// Each channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<ByChannel>,
    /// Single topics.
    #[schemars(length(max = 200))]
    pub topics: Vec<TopicPreference>,
    /// When nothing should disturb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Local time of daily and weekly digests; 08:00 if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub digest_at: Option<String>,
    /// Day of weekly digests; Monday if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_day: Option<Weekday>,
}

/// The stored preferences of one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preference {
    /// Whose they are.
    pub scope: PreferenceScope,
    /// The id of the organization, team, project or person.
    pub scope_id: String,
    /// What is set.
    #[serde(flatten)]
    pub set: PreferenceWrite,
    /// Nothing but the inbox until this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub dnd_until: Option<Timestamp>,
}

impl Entity for Preference {
    const TYPE: &'static str = "preference";
}

impl Preference {
    /// Nothing set.
    pub fn empty(scope: PreferenceScope, scope_id: impl ToString) -> Self {
        Self { scope, scope_id: scope_id.to_string(), set: PreferenceWrite::default(), dnd_until: None }
    }

    /// The id of the preferences of a scope.
    pub fn document_id(scope: PreferenceScope, scope_id: &str) -> String {
        format!("preference:{}:{scope_id}", scope.as_str())
    }
}

impl Example for PreferenceWrite {
    fn example() -> Self {
        let windows = vec![Window {
            days: vec![Weekday::Mon, Weekday::Tue],
            start: "22:00".to_owned(),
            end: "07:00".to_owned(),
        }];
        let email = ChannelPreference { digest: Some(Digest::Daily), ..ChannelPreference::default() };
        let task = TopicPreference {
            pattern: "task.*".to_owned(),
            enabled: None,
            channels: Some(ByChannel { email: Some(email), ..ByChannel::default() }),
            locked: None,
        };
        Self {
            min_criticality: Some(Criticality::Low),
            topics: vec![task],
            quiet_hours: Some(QuietHours {
                time_zone: "Europe/Paris".to_owned(),
                windows,
                allow_critical: true,
            }),
            ..Self::default()
        }
    }
}

impl Example for Preference {
    fn example() -> Self {
        let set = PreferenceWrite::example();
        Self { set, ..Self::empty(PreferenceScope::User, coder_core::id::EXAMPLE) }
    }
}

impl PreferenceWrite {
    /// What no schema can state; all faults at once.
    pub fn check(&self, scope: PreferenceScope) -> Result<(), Problem> {
        let mut faults = Vec::new();
        for (index, topic) in self.topics.iter().enumerate() {
            let at = format!("/topics/{index}");
            if self.topics[..index].iter().any(|other| other.pattern == topic.pattern) {
                faults.push(Fault::new(format!("{at}/pattern"), "duplicate", "This pattern is there twice."));
            }
            let locked = topic.locked == Some(true);
            if locked && scope != PreferenceScope::Organization {
                let message = "Only an organization locks topics.";
                faults.push(Fault::new(format!("{at}/locked"), "not_allowed", message));
            }
            if locked && topic.enabled == Some(false) {
                let message = "A locked topic is on; leave `enabled` out.";
                faults.push(Fault::new(format!("{at}/enabled"), "contradiction", message));
            }
        }
        if let Some(quiet) = &self.quiet_hours {
            if quiet::zone(&quiet.time_zone).is_none() {
                let message = "This is no name of the IANA time zone database.";
                faults.push(Fault::new("/quietHours/timeZone", "unknown_time_zone", message));
            }
            for (index, window) in quiet.windows.iter().enumerate() {
                if window.start == window.end {
                    let message = "A window ends at another time than it starts.";
                    faults.push(Fault::new(format!("/quietHours/windows/{index}/end"), "empty", message));
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }
}
