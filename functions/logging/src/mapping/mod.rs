//! How an event becomes an entry: the table of what each type of event means, and the parts of an event that an entry
//! keeps.

mod table;

use coder_core::{Actor, ActorKind};
use coder_handler::Event;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::draft::Draft;
use crate::model::{ActorType, Category, EntryActor, EntryChange, Outcome, Severity};
use table::TABLE;

/// What a type of event means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// The event's type without `coder.`; `*` stands for one segment or, last, all that follow.
    pattern: &'static str,
    category: Category,
    severity: Severity,
    outcome: Outcome,
    /// The message; `{name}` is the field of the payload, `{entity}` the kind of resource.
    message: &'static str,
}

/// An event that no row is for.
const UNMAPPED: Row = Row {
    pattern: "*",
    category: Category::System,
    severity: Severity::Info,
    outcome: Outcome::Success,
    message: "{entity} {verb}",
};

/// Fields that are for other consumers: whether an invited address has an account is not the organization's business.
const UNTOLD: &[&str] = &["invitedUserId"];

/// The row for an action: of all that match, the one that names most.
pub(crate) fn row(action: &str) -> &'static Row {
    let matching = TABLE.iter().filter(|row| matches(row.pattern, action));
    matching.max_by_key(|row| weight(row.pattern)).unwrap_or(&UNMAPPED)
}

/// Segments that the pattern names, then whether the group is one of them, then how long they are.
fn weight(pattern: &str) -> (usize, bool, usize) {
    let named = pattern.split('.').filter(|segment| *segment != "*");
    (named.clone().count(), !pattern.starts_with('*'), named.map(str::len).sum())
}

fn matches(pattern: &str, action: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.').peekable(), action.split('.'));
    while let Some(segment) = wanted.next() {
        let Some(name) = given.next() else { return false };
        if segment == "*" && wanted.peek().is_none() {
            return true;
        }
        if segment != "*" && segment != name {
            return false;
        }
    }
    given.next().is_none()
}

/// The parts of an action: group, kind of resource, verb.
fn parts(action: &str) -> (&str, &str, &str) {
    let mut parts = action.splitn(3, '.');
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

/// Whether an event only tells that something was read that is not sensitive: such entries are made on request only.
pub(crate) fn is_plain_read(action: &str) -> bool {
    let (group, entity, verb) = parts(action);
    let reads = matches!(verb, "read" | "listed" | "viewed" | "opened" | "searched" | "downloaded");
    reads && !matches!(group, "secrets" | "logging") && entity != "export"
}

/// The entry of an event.
pub(crate) fn draft(event: &Event) -> Draft {
    let action = event.kind.strip_prefix("coder.").unwrap_or(&event.kind).to_owned();
    let row = row(&action);
    let (group, entity, verb) = parts(&action);
    let mut metadata = event.data.as_object().cloned().unwrap_or_default();
    let actor = actor(metadata.remove("actor"));
    let changes = changes(metadata.remove("changes"));
    for untold in UNTOLD {
        metadata.remove(*untold);
    }
    let text = |name: &str| metadata.get(name).and_then(Value::as_str).map(str::to_owned);
    let project_id = text("projectId").or_else(|| (entity == "project").then(|| event.subject.clone()));
    let correlation_id = event.correlation_id.clone().or_else(|| text("correlationId"));
    let correlation_id = correlation_id.or_else(|| text("requestId"));
    Draft {
        time: event.time,
        actor,
        category: row.category,
        severity: severity(row, &action, &metadata),
        outcome: row.outcome,
        resource_type: Some(entity.to_owned()).filter(|entity| !entity.is_empty()),
        resource_id: Some(event.subject.clone()).filter(|subject| !subject.is_empty()),
        project_id,
        source: group.to_owned(),
        event_id: event.id.clone(),
        correlation_id,
        message: message(row.message, entity, verb, &metadata),
        changes,
        metadata,
        action,
    }
}

/// The row's severity; a change to who owns or administers the organization is worth a look.
fn severity(row: &Row, action: &str, data: &Map<String, Value>) -> Severity {
    let privileged = |name: &str| {
        let roles = data.get(name).and_then(Value::as_array).into_iter().flatten();
        let mut names = roles.filter_map(Value::as_str);
        names.any(|role| matches!(role, "owner" | "admin"))
    };
    // The first owner of a new organization is nobody's promotion.
    let founding = data.get("via").is_some_and(|via| via == "organization");
    let changes = action.starts_with("users.membership.")
        && !founding
        && ["roles", "rolesBefore", "rolesAfter"].into_iter().any(privileged);
    if changes { row.severity.max(Severity::Warn) } else { row.severity }
}

/// Who acted, as an event names them; `system` if it names nobody.
pub(crate) fn actor(value: Option<Value>) -> EntryActor {
    let Some(actor) = value.and_then(|value| Actor::deserialize(value).ok()) else {
        return EntryActor::new(ActorType::System, "system".to_owned());
    };
    let kind = match actor.kind {
        ActorKind::User => ActorType::User,
        ActorKind::ApiKey => ActorType::ApiKey,
        ActorKind::Service if actor.id == "anonymous" => ActorType::Anonymous,
        ActorKind::Service => ActorType::Service,
        ActorKind::Job => ActorType::System,
    };
    let id = if actor.id.is_empty() { "unknown".to_owned() } else { actor.id };
    EntryActor {
        on_behalf_of: actor.on_behalf_of.map(|id| id.to_string()),
        session_id: actor.session_id.map(|id| id.to_string()),
        ip_address: actor.ip_address,
        user_agent: actor.user_agent,
        ..EntryActor::new(kind, id)
    }
}

/// Changes as publishers write them: `from` and `to`, or `before` and `after`.
fn changes(value: Option<Value>) -> Vec<EntryChange> {
    let Some(Value::Array(items)) = value else { return Vec::new() };
    let change = |mut item: Value| {
        let path = item.get("path")?.as_str()?.to_owned();
        let fields = item.as_object_mut()?;
        let mut take =
            |names: [&str; 2]| names.iter().find_map(|name| fields.remove(*name)).unwrap_or_default();
        Some(EntryChange { path, before: take(["from", "before"]), after: take(["to", "after"]) })
    };
    items.into_iter().filter_map(change).collect()
}

/// `api-key` as `API key`, `project` as `Project`.
fn words(entity: &str) -> String {
    let spaced = entity.replace('-', " ").replace("api", "API").replace("mfa", "MFA");
    let mut letters = spaced.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn message(template: &str, entity: &str, verb: &str, data: &Map<String, Value>) -> String {
    let mut message = template.replace("{entity}", &words(entity)).replace("{verb}", &verb.replace('-', " "));
    while let Some((start, end)) = message.find('{').and_then(|at| Some((at, at + message[at..].find('}')?)))
    {
        let shown = match data.get(&message[start + 1..end]) {
            Some(Value::String(text)) => text.replace(['{', '}'], ""),
            Some(Value::Number(number)) => number.to_string(),
            _ => "unknown".to_owned(),
        };
        message.replace_range(start..=end, &shown);
    }
    message
}

#[cfg(test)]
mod tests;
