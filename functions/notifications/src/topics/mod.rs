//! Which events become which messages: the table, and how a row is read against an event.

mod table;

use std::collections::BTreeSet;

use coder_core::{Actor, ProjectId, TeamId, UserId};
use coder_handler::Event;
use serde::Deserialize;
use serde_json::Value;

use crate::deliver::{Category, Channel, Criticality, ResourceReference};

pub use table::TOPICS;

/// How much a message of a topic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Always the same.
    Always(Criticality),
    /// As the event's `severity` says.
    BySeverity,
}

/// A topic of the platform.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// Its name, such as `task.assigned`.
    pub name: &'static str,
    /// The event types behind it, whole.
    pub events: &'static [&'static str],
    /// The field of the payload that must have this value.
    pub when: Option<(&'static str, &'static str)>,
    /// What it is about.
    pub category: Category,
    /// How much it matters.
    pub weight: Weight,
    /// Fields of the payload that name people: an id, a list of ids, or a list of objects with a `userId` or with `type`
    /// (`user` or `role`) and `id`.
    pub people: &'static [&'static str],
    /// Further recipients.
    pub also: &'static [&'static str],
    /// Recipients if the payload names nobody whom the organization has. `lead` is the lead of the event's project.
    pub otherwise: &'static [&'static str],
    /// Whether the person is not in the event's organization yet, and is told where they are at home; in the inbox
    /// alone, since the organization's webhooks have no business with it, and a mail with the link is on its way.
    pub at_home: bool,
    /// Whether nobody can switch it off for inbox and e-mail, and the person who did it is told too.
    pub locked: bool,
    /// Whether only people who are away are told.
    pub only_when_away: bool,
    /// The kind of resource that the event's subject is.
    pub resource: &'static str,
    /// Where the resource is in the application; its id is appended. Empty: nowhere.
    pub place: &'static str,
    /// The built-in title; a template.
    pub title: &'static str,
    /// The built-in text; a template.
    pub body: &'static str,
}

impl Topic {
    const fn new(name: &'static str, category: Category, events: &'static [&'static str]) -> Self {
        Self {
            name,
            events,
            when: None,
            category,
            weight: Weight::Always(Criticality::Medium),
            people: &[],
            also: &[],
            otherwise: &[],
            at_home: false,
            locked: false,
            only_when_away: false,
            resource: "",
            place: "",
            title: "",
            body: "",
        }
    }

    const fn low(mut self) -> Self {
        self.weight = Weight::Always(Criticality::Low);
        self
    }

    const fn high(mut self) -> Self {
        self.weight = Weight::Always(Criticality::High);
        self
    }

    const fn critical(mut self) -> Self {
        self.weight = Weight::Always(Criticality::Critical);
        self
    }

    const fn by_severity(mut self) -> Self {
        self.weight = Weight::BySeverity;
        self
    }

    const fn when(mut self, field: &'static str, value: &'static str) -> Self {
        self.when = Some((field, value));
        self
    }

    const fn people(mut self, fields: &'static [&'static str]) -> Self {
        self.people = fields;
        self
    }

    const fn also(mut self, recipients: &'static [&'static str]) -> Self {
        self.also = recipients;
        self
    }

    const fn otherwise(mut self, recipients: &'static [&'static str]) -> Self {
        self.otherwise = recipients;
        self
    }

    const fn at_home(mut self) -> Self {
        self.at_home = true;
        self
    }

    const fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    const fn only_when_away(mut self) -> Self {
        self.only_when_away = true;
        self
    }

    const fn about(mut self, resource: &'static str, place: &'static str) -> Self {
        self.resource = resource;
        self.place = place;
        self
    }

    const fn words(mut self, title: &'static str, body: &'static str) -> Self {
        self.title = title;
        self.body = body;
        self
    }

    /// How much a message with this payload matters.
    pub fn criticality(&self, data: &Value) -> Criticality {
        match self.weight {
            Weight::Always(criticality) => criticality,
            Weight::BySeverity => match data["severity"].as_str().unwrap_or_default() {
                "critical" | "sev1" | "p1" => Criticality::Critical,
                "high" | "error" | "sev2" | "p2" => Criticality::High,
                "low" | "info" | "debug" | "sev4" | "p4" => Criticality::Low,
                _ => Criticality::Medium,
            },
        }
    }

    /// Who is told of an event; empty if the payload names nobody. The platform knows no roles without an
    /// organization.
    pub fn recipients(&self, event: &Event) -> Vec<String> {
        let named: BTreeSet<String> =
            self.people.iter().flat_map(|field| named(&event.data[*field])).collect();
        let named: Vec<String> = named.into_iter().filter(|to| is_told(to, event)).collect();
        let rest = if named.is_empty() { self.substitutes(event) } else { Vec::new() };
        named.into_iter().chain(of_organization(self.also, event)).chain(rest).collect()
    }

    /// Who is told in place of people whom the organization does not have, such as an owner who left.
    pub fn substitutes(&self, event: &Event) -> Vec<String> {
        of_organization(self.otherwise, event).collect()
    }

    /// What the event is about.
    pub fn resource(&self, event: &Event) -> Option<ResourceReference> {
        let id: String = event.subject.chars().take(200).collect();
        (!self.resource.is_empty() && !id.is_empty())
            .then(|| ResourceReference { kind: self.resource.to_owned(), id })
    }

    /// Where the message leads.
    pub fn action_url(&self, event: &Event) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        let fits = !event.subject.is_empty() && event.subject.chars().all(plain);
        (!self.place.is_empty() && fits).then(|| format!("{}/{}", self.place, event.subject))
    }

    fn holds(&self, data: &Value) -> bool {
        self.when.is_none_or(|(field, wanted)| match &data[field] {
            Value::String(text) => text == wanted,
            Value::Bool(flag) => wanted.parse() == Ok(*flag),
            _ => false,
        })
    }
}

/// The topic of this name.
pub fn find(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

/// The topics of an event.
pub fn of_event(event: &Event) -> impl Iterator<Item = &'static Topic> {
    TOPICS.iter().filter(|topic| topic.events.contains(&event.kind.as_str()) && topic.holds(&event.data))
}

/// The channels that a message uses unless somebody says otherwise.
pub fn default_channels(criticality: Criticality) -> &'static [Channel] {
    match criticality {
        Criticality::Low => &[Channel::Inbox],
        _ => &[Channel::Inbox, Channel::Email],
    }
}

/// Whether a topic is covered by a pattern: `task.*` covers all that begin with `task.`, `*` everything.
pub fn covers(pattern: &str, topic: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => topic.starts_with(beginning),
        None => pattern == topic,
    }
}

/// The project that an event is about.
pub fn project_id(data: &Value) -> Option<ProjectId> {
    data["projectId"].as_str()?.parse().ok()
}

/// The team that an event is about.
pub fn team_id(data: &Value) -> Option<TeamId> {
    data["teamId"].as_str()?.parse().ok()
}

/// Who caused an event.
pub fn actor(data: &Value) -> Option<Actor> {
    Actor::deserialize(&data["actor"]).ok()
}

/// Whether there can be such a recipient: a role is one of an organization.
fn is_told(recipient: &str, event: &Event) -> bool {
    event.organization_id.is_some() || recipient.starts_with("user:")
}

/// Recipients of the table, for an event.
fn of_organization(list: &'static [&'static str], event: &Event) -> impl Iterator<Item = String> {
    list.iter().filter_map(|recipient| match (*recipient, project_id(&event.data)) {
        ("lead", project) => project.map(|project| format!("lead:{project}")),
        (recipient, _) => is_told(recipient, event).then(|| recipient.to_owned()),
    })
}

/// The recipients that a value of the payload names.
fn named(value: &Value) -> Vec<String> {
    let user = |value: &Value| value.as_str()?.parse().ok().map(|id: UserId| format!("user:{id}"));
    let one = |value: &Value| match (value["type"].as_str(), value["id"].as_str()) {
        (Some("user"), _) => user(&value["id"]),
        (Some("role"), Some(name)) => Some(format!("role:{name}")),
        _ => user(value).or_else(|| user(&value["userId"])),
    };
    match value {
        Value::Array(values) => values.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
