//! An act on its way into the chain: everything but number, receipt and hashes, cut to the limits of an entry.

use coder_core::Timestamp;
use serde_json::{Map, Value};

use crate::chain::canonical;
use crate::model::{Category, EntryActor, EntryChange, Outcome, Severity};

/// Characters of a message.
pub(crate) const MAX_MESSAGE: usize = 1000;
/// Characters of an action.
pub(crate) const MAX_ACTION: usize = 120;
/// Changes of an entry.
pub(crate) const MAX_CHANGES: usize = 100;
/// Bytes of metadata as canonical JSON.
pub(crate) const MAX_METADATA_BYTES: usize = 16 * 1024;
/// Bytes of one value of a change; a longer one is named, not kept.
const MAX_VALUE_BYTES: usize = 2 * 1024;
/// Bytes of all changes together.
const MAX_CHANGES_BYTES: usize = 64 * 1024;
/// Integers beyond lose digits as JSON numbers.
const SAFE: u64 = 1 << 53;

/// An act that is to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub(crate) time: Timestamp,
    pub(crate) actor: EntryActor,
    pub(crate) action: String,
    pub(crate) category: Category,
    pub(crate) severity: Severity,
    pub(crate) outcome: Outcome,
    pub(crate) resource_type: Option<String>,
    pub(crate) resource_id: Option<String>,
    pub(crate) project_id: Option<String>,
    pub(crate) source: String,
    pub(crate) event_id: String,
    pub(crate) correlation_id: Option<String>,
    pub(crate) message: String,
    pub(crate) changes: Vec<EntryChange>,
    pub(crate) metadata: Map<String, Value>,
}

impl Draft {
    /// What a repeat of it has in common with it: the event's id. Callers choose the ids of what they write, so these
    /// are names apart: none of them can take the place of what the platform itself records.
    pub(crate) fn repeat_key(&self) -> String {
        match self.category {
            Category::Custom => format!("custom\n{}", self.event_id),
            _ => self.event_id.clone(),
        }
    }

    /// Cuts what is too long and rewrites what no store keeps as it is: events are not checked as requests are.
    pub(crate) fn fit(&mut self) {
        cut(&mut self.message, MAX_MESSAGE);
        cut(&mut self.action, MAX_ACTION);
        cut(&mut self.event_id, 128);
        cut(&mut self.actor.id, 128);
        for (text, most) in [
            (&mut self.resource_type, 64),
            (&mut self.resource_id, 200),
            (&mut self.project_id, 64),
            (&mut self.correlation_id, 128),
            (&mut self.actor.on_behalf_of, 64),
            (&mut self.actor.session_id, 64),
            (&mut self.actor.display_name, 200),
            (&mut self.actor.ip_address, 64),
            (&mut self.actor.user_agent, 512),
        ] {
            if let Some(text) = text {
                cut(text, most);
            }
        }
        self.changes.truncate(MAX_CHANGES);
        let mut left = MAX_CHANGES_BYTES;
        for change in &mut self.changes {
            cut(&mut change.path, 500);
            for value in [&mut change.before, &mut change.after] {
                storable(value, 8);
                if value.to_string().len() > MAX_VALUE_BYTES.min(left) {
                    *value = "[too large]".into();
                }
                left = left.saturating_sub(value.to_string().len());
            }
        }
        self.metadata.values_mut().for_each(|value| storable(value, 8));
        self.metadata = fitting(std::mem::take(&mut self.metadata));
    }

    /// About how many bytes the entry will have; more than enough.
    pub(crate) fn rough_bytes(&self) -> usize {
        let change =
            |change: &EntryChange| change.before.to_string().len() + change.after.to_string().len() + 600;
        let changes: usize = self.changes.iter().take(MAX_CHANGES).map(change).sum();
        let metadata: usize =
            self.metadata.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
        // Escaped text can be longer than it looks.
        4096 + 2 * (changes.min(2 * MAX_CHANGES_BYTES) + metadata.min(2 * MAX_METADATA_BYTES))
            + 2 * self.message.len().min(4 * MAX_MESSAGE)
    }
}

/// Cuts a text to so many characters, and takes out the one that stores refuse.
fn cut(text: &mut String, most: usize) {
    text.retain(|c| c != '\0');
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
    }
}

/// Numbers that lose digits become text, as does what nests too deep.
fn storable(value: &mut Value, levels: u8) {
    match value {
        Value::String(text) => text.retain(|c| c != '\0'),
        Value::Number(number) => {
            let large = number.as_u64().is_some_and(|n| n > SAFE)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() > SAFE);
            if large {
                *value = number.to_string().into();
            }
        }
        Value::Array(_) | Value::Object(_) if levels == 0 => {
            *value = value.to_string().into();
            storable(value, 0);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| storable(item, levels - 1)),
        Value::Object(fields) => fields.values_mut().for_each(|item| storable(item, levels - 1)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The fields that fit, small ones first, with a mark if some did not.
fn fitting(metadata: Map<String, Value>) -> Map<String, Value> {
    let size = |value: &Value| canonical(value).len();
    if size(&metadata.clone().into()) <= MAX_METADATA_BYTES {
        return metadata;
    }
    let mut fields: Vec<_> = metadata.into_iter().map(|(name, value)| (size(&value), name, value)).collect();
    fields.sort_by_key(|(bytes, ..)| *bytes);
    let mut left = MAX_METADATA_BYTES - 100;
    let mut kept = Map::new();
    for (bytes, name, value) in fields {
        let bytes = bytes + 2 * name.len() + 16;
        if bytes <= left {
            left -= bytes;
            kept.insert(name, value);
        }
    }
    kept.insert("truncated".to_owned(), true.into());
    kept
}

#[cfg(test)]
impl Draft {
    /// A draft for tests.
    pub(crate) fn example() -> Self {
        Self {
            time: Timestamp::UNIX_EPOCH,
            actor: EntryActor::new(crate::model::ActorType::User, "u".to_owned()),
            action: "users.project.created".to_owned(),
            category: Category::Action,
            severity: Severity::Info,
            outcome: Outcome::Success,
            resource_type: Some("project".to_owned()),
            resource_id: Some("p".to_owned()),
            project_id: None,
            source: "users".to_owned(),
            event_id: "event".to_owned(),
            correlation_id: None,
            message: "Project created".to_owned(),
            changes: Vec::new(),
            metadata: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_draft_is_cut_to_the_limits_of_an_entry() {
        let change = EntryChange { path: "/x".into(), before: json!("é".repeat(3000)), after: json!(1) };
        let mut draft = Draft {
            message: "é".repeat(2000),
            changes: vec![change; 150],
            metadata: json!({
                "large": "x".repeat(20_000), "small": "s\u{0}", "number": u64::MAX, "deep": (0..50).fold(json!(1), |v, _| json!([v])),
            })
            .as_object()
            .unwrap()
            .clone(),
            ..Draft::example()
        };
        draft.fit();
        assert_eq!(draft.message.chars().count(), MAX_MESSAGE);
        assert_eq!((draft.changes.len(), &draft.changes[0].before), (100, &json!("[too large]")));
        assert_eq!(draft.changes[99].after, json!(1));
        assert_eq!(draft.metadata["truncated"], true);
        assert_eq!(
            (&draft.metadata["small"], &draft.metadata["number"]),
            (&json!("s"), &json!("18446744073709551615"))
        );
        assert!(!draft.metadata.contains_key("large"));
        assert!(canonical(&draft.metadata.into()).len() <= MAX_METADATA_BYTES);
    }
}
