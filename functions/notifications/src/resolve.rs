//! Which channels a message of a topic takes to a person, and which rule decided.
//!
//! The layers are platform, organization, team, project, person; a later one wins. Within a layer the longest pattern
//! that covers the topic wins over what is said of the channel, and that over what is said of everything. A general
//! `enabled: true` only takes back a general `false` of an earlier layer.

use coder_core::Timestamp;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::Serialize;

use crate::deliver::{Channel, Criticality};
use crate::model::preference::{
    ChannelPreference, Digest, Preference, PreferenceScope, QuietHours, TopicPreference,
};
use crate::quiet::{DIGEST_AT, Weekday};
use crate::topics::{self, covers};

/// The channels that preferences decide about.
pub const CHANNELS: [Channel; 2] = [Channel::Inbox, Channel::Email];

/// Who made a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say all")]
pub enum Layer {
    Platform,
    Organization,
    Team,
    Project,
    User,
}

impl From<PreferenceScope> for Layer {
    fn from(scope: PreferenceScope) -> Self {
        match scope {
            PreferenceScope::Organization => Self::Organization,
            PreferenceScope::Team => Self::Team,
            PreferenceScope::Project => Self::Project,
            PreferenceScope::User => Self::User,
        }
    }
}

/// The rule that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Who made it.
    pub layer: Layer,
    /// The organization, team, project or person; null for the platform.
    pub scope_id: Option<String>,
    /// The setting: `default`, `enabled`, `channel`, `topic`, `topicChannel`, `locked` or `minCriticality`.
    pub setting: &'static str,
    /// The pattern of the topic, where one decided.
    pub pattern: Option<String>,
}

impl Rule {
    fn platform(setting: &'static str) -> Self {
        Self { layer: Layer::Platform, scope_id: None, setting, pattern: None }
    }

    fn of(preference: &Preference, setting: &'static str, topic: Option<&TopicPreference>) -> Self {
        Self {
            layer: preference.scope.into(),
            scope_id: Some(preference.scope_id.clone()),
            setting,
            pattern: topic.map(|topic| topic.pattern.clone()),
        }
    }
}

/// What was decided of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The channel.
    pub channel: Channel,
    /// Whether it is used.
    pub enabled: bool,
    /// Which rule decided.
    pub rule: Rule,
    /// Whether it is used only while the person is away.
    pub only_when_away: bool,
    /// Whether its messages are gathered.
    pub digest: Digest,
}

/// Everything that decides how a message reaches a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The channels.
    pub decisions: Vec<Decision>,
    /// When nothing should disturb.
    pub quiet_hours: Option<QuietHours>,
    /// Nothing but the inbox until this time.
    pub dnd_until: Option<Timestamp>,
    /// Local time of digests.
    pub digest_at: String,
    /// Day of weekly digests.
    pub digest_day: Weekday,
}

impl Resolved {
    /// What was decided of a channel.
    pub fn of(&self, channel: Channel) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.channel == channel)
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The topic.
    pub topic: &'a str,
    /// How much the message matters.
    pub criticality: Criticality,
    /// The only channels that the sender allows.
    pub channels: Option<&'a [Channel]>,
}

/// Resolves the preferences; `layers` from the widest to the narrowest.
pub fn resolve(question: Question<'_>, layers: &[&Preference]) -> Resolved {
    let locked = lock(question.topic, layers);
    let hidden = hidden(question.criticality, layers).filter(|_| locked.is_none());
    let decide = |channel| {
        let mut decision = decide(question, channel, layers);
        if let Some(rule) = &locked {
            decision = Decision { enabled: true, rule: rule.clone(), only_when_away: false, ..decision };
        }
        if let Some(rule) = hidden.as_ref().filter(|_| decision.enabled) {
            decision = Decision { enabled: false, rule: rule.clone(), ..decision };
        }
        if decision.enabled && question.channels.is_some_and(|only| !only.contains(&channel)) {
            decision = Decision { enabled: false, rule: Rule::platform("sender"), ..decision };
        }
        decision
    };
    let last = |read: fn(&Preference) -> Option<String>| layers.iter().rev().find_map(|layer| read(layer));
    Resolved {
        decisions: CHANNELS.into_iter().map(decide).collect(),
        quiet_hours: layers.iter().rev().find_map(|layer| layer.set.quiet_hours.clone()),
        dnd_until: layers.iter().rev().find_map(|layer| layer.dnd_until),
        digest_at: last(|layer| layer.set.digest_at.clone()).unwrap_or_else(|| DIGEST_AT.to_owned()),
        digest_day: layers.iter().rev().find_map(|layer| layer.set.digest_day).unwrap_or_default(),
    }
}

/// The rule that locks the topic on.
fn lock(topic: &str, layers: &[&Preference]) -> Option<Rule> {
    if topics::find(topic).is_some_and(|topic| topic.locked) {
        return Some(Rule::platform("locked"));
    }
    let organization = layers.iter().find(|layer| layer.scope == PreferenceScope::Organization)?;
    let locks = |one: &&TopicPreference| one.locked == Some(true) && covers(&one.pattern, topic);
    let longest = organization.set.topics.iter().filter(locks).max_by_key(|one| one.pattern.len())?;
    Some(Rule::of(organization, "locked", Some(longest)))
}

/// The rule that hides messages which matter as little as this.
fn hidden(criticality: Criticality, layers: &[&Preference]) -> Option<Rule> {
    let (layer, least) = layers.iter().rev().find_map(|layer| Some((layer, layer.set.min_criticality?)))?;
    (criticality < least && criticality != Criticality::Critical)
        .then(|| Rule::of(layer, "minCriticality", None))
}

fn decide(question: Question<'_>, channel: Channel, layers: &[&Preference]) -> Decision {
    let topic = topics::find(question.topic);
    let by_default = topics::default_channels(question.criticality).contains(&channel);
    let mut decision = Decision {
        channel,
        enabled: by_default,
        rule: Rule::platform("default"),
        only_when_away: channel == Channel::Email && topic.is_some_and(|topic| topic.only_when_away),
        digest: Digest::None,
    };
    for layer in layers {
        let covering = layer.set.topics.iter().filter(|one| covers(&one.pattern, question.topic));
        let longest = covering.max_by_key(|one| one.pattern.len());
        let of_topic = longest.and_then(|one| one.channels.as_ref()?.of(channel));
        let of_channel = layer.set.channels.as_ref().and_then(|channels| channels.of(channel));
        let said = of_topic
            .and_then(|one| Some((one.enabled?, Rule::of(layer, "topicChannel", longest))))
            .or_else(|| longest.and_then(|one| Some((one.enabled?, Rule::of(layer, "topic", longest)))))
            .or_else(|| of_channel.and_then(|one| Some((one.enabled?, Rule::of(layer, "channel", None)))));
        match (said, layer.set.enabled) {
            (Some((enabled, rule)), _) => (decision.enabled, decision.rule) = (enabled, rule),
            (None, Some(false)) => {
                (decision.enabled, decision.rule) = (false, Rule::of(layer, "enabled", None));
            }
            (None, Some(true)) if decision.rule.setting == "enabled" => {
                (decision.enabled, decision.rule) = (by_default, Rule::of(layer, "enabled", None));
            }
            (None, _) => {}
        }
        let first = |read: fn(&ChannelPreference) -> Option<bool>| {
            of_topic.and_then(read).or_else(|| of_channel.and_then(read))
        };
        decision.only_when_away = first(|one| one.only_when_away).unwrap_or(decision.only_when_away);
        let digest = of_topic.and_then(|one| one.digest).or_else(|| of_channel.and_then(|one| one.digest));
        decision.digest = digest.unwrap_or(decision.digest);
    }
    decision
}

impl Example for Decision {
    fn example() -> Self {
        Self {
            channel: Channel::Email,
            enabled: true,
            rule: Rule::platform("default"),
            only_when_away: false,
            digest: Digest::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn layer(scope: &str, set: Value) -> Preference {
        let mut document = json!({"scope": scope, "scopeId": scope, "topics": [], "dndUntil": null});
        document.as_object_mut().unwrap().extend(set.as_object().unwrap().clone());
        serde_json::from_value(document).unwrap()
    }

    fn decided(
        topic: &str,
        criticality: Criticality,
        layers: &[Preference],
    ) -> Vec<(bool, Layer, &'static str)> {
        let layers: Vec<&Preference> = layers.iter().collect();
        let question = Question { topic, criticality, channels: None };
        let resolved = resolve(question, &layers);
        resolved.decisions.into_iter().map(|one| (one.enabled, one.rule.layer, one.rule.setting)).collect()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table, a row for each case")]
    fn the_table_of_layers() {
        use Criticality::{Critical, High, Low, Medium};
        use Layer::{Organization, Platform, Project, User};
        let off = |pattern: &str| json!({"topics": [{"pattern": pattern, "channels": {"email": {"enabled": false}}}]});
        let locks = json!({"topics": [{"pattern": "task.assigned", "locked": true}]});
        let none = json!({});
        let cases = [
            (
                "defaults",
                "task.assigned",
                Medium,
                none.clone(),
                none.clone(),
                none.clone(),
                [(true, Platform, "default"), (true, Platform, "default")],
            ),
            (
                "low stays in the inbox",
                "plan.generated",
                Low,
                none.clone(),
                none.clone(),
                none.clone(),
                [(true, Platform, "default"), (false, Platform, "default")],
            ),
            (
                "a pattern",
                "task.assigned",
                Medium,
                none.clone(),
                none.clone(),
                off("task.*"),
                [(true, Platform, "default"), (false, User, "topicChannel")],
            ),
            (
                "another topic",
                "plan.rejected",
                Medium,
                none.clone(),
                none.clone(),
                off("task.*"),
                [(true, Platform, "default"), (true, Platform, "default")],
            ),
            (
                "the longest pattern wins within a layer",
                "task.assigned",
                Medium,
                none.clone(),
                none.clone(),
                json!({"topics": [{"pattern": "task.*", "enabled": false}, {"pattern": "task.assigned", "enabled": true}]}),
                [(true, User, "topic"), (true, User, "topic")],
            ),
            (
                "the later layer wins",
                "task.assigned",
                Medium,
                off("task.assigned"),
                json!({"topics": [{"pattern": "*", "channels": {"email": {"enabled": true}}}]}),
                none.clone(),
                [(true, Platform, "default"), (true, Project, "topicChannel")],
            ),
            (
                "per field: a person's inbox does not touch the organization's mail",
                "task.assigned",
                Medium,
                off("*"),
                none.clone(),
                json!({"channels": {"inbox": {"enabled": false}}}),
                [(false, User, "channel"), (false, Organization, "topicChannel")],
            ),
            (
                "everything off",
                "task.assigned",
                Medium,
                none.clone(),
                none.clone(),
                json!({"enabled": false}),
                [(false, User, "enabled"), (false, User, "enabled")],
            ),
            (
                "a general on takes back a general off",
                "task.assigned",
                Medium,
                json!({"enabled": false}),
                none.clone(),
                json!({"enabled": true}),
                [(true, User, "enabled"), (true, User, "enabled")],
            ),
            (
                "a general on takes back nothing else",
                "task.assigned",
                Medium,
                off("task.*"),
                none.clone(),
                json!({"enabled": true}),
                [(true, Platform, "default"), (false, Organization, "topicChannel")],
            ),
            (
                "the organization locks",
                "task.assigned",
                Medium,
                locks.clone(),
                none.clone(),
                off("task.*"),
                [(true, Organization, "locked"), (true, Organization, "locked")],
            ),
            (
                "a lock beats everything off",
                "task.assigned",
                Medium,
                locks,
                none.clone(),
                json!({"enabled": false, "minCriticality": "critical"}),
                [(true, Organization, "locked"), (true, Organization, "locked")],
            ),
            (
                "the platform locks",
                "security.new-device",
                High,
                none.clone(),
                none.clone(),
                json!({"enabled": false}),
                [(true, Platform, "locked"), (true, Platform, "locked")],
            ),
            (
                "too little",
                "task.assigned",
                Medium,
                json!({"minCriticality": "low"}),
                none.clone(),
                json!({"minCriticality": "high"}),
                [(false, User, "minCriticality"), (false, User, "minCriticality")],
            ),
            (
                "never critical",
                "workflow.gate-escalated",
                Critical,
                none.clone(),
                none,
                json!({"minCriticality": "critical"}),
                [(true, Platform, "default"), (true, Platform, "default")],
            ),
        ];
        for (name, topic, criticality, organization, project, user, expected) in cases {
            let layers =
                [layer("organization", organization), layer("project", project), layer("user", user)];
            assert_eq!(decided(topic, criticality, &layers), expected, "{name}");
        }
    }

    #[test]
    fn a_sender_limits_channels_and_never_widens() {
        let question = Question {
            topic: "task.assigned",
            criticality: Criticality::Low,
            channels: Some(&[Channel::Email]),
        };
        let resolved = resolve(question, &[]);
        assert!(resolved.decisions.iter().all(|one| !one.enabled));
        assert_eq!(resolved.of(Channel::Inbox).unwrap().rule.setting, "sender");
    }

    #[test]
    fn digest_and_absence_are_resolved_field_by_field() {
        let organization =
            layer("organization", json!({"channels": {"email": {"digest": "daily", "onlyWhenAway": true}}}));
        let user = layer(
            "user",
            json!({"channels": {"email": {"digest": "weekly"}}, "digestAt": "18:30", "digestDay": "fri"}),
        );
        let question = Question { topic: "task.assigned", criticality: Criticality::Medium, channels: None };
        let resolved = resolve(question, &[&organization, &user]);
        let email = resolved.of(Channel::Email).unwrap();
        assert_eq!((email.digest, email.only_when_away), (Digest::Weekly, true));
        assert_eq!((resolved.digest_at.as_str(), resolved.digest_day), ("18:30", Weekday::Fri));
        let direct = Question { topic: "message.direct", ..question };
        assert!(resolve(direct, &[]).of(Channel::Email).unwrap().only_when_away);
    }
}
