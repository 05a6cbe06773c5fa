//! A message as a broker carries it, in the terms of Service Bus.

use std::collections::BTreeMap;

use coder_core::Timestamp;
use coder_database::{OutboxRecord, Record};
use serde_json::{Value, json};

/// Where a message is sent: the topic of events or that of jobs.
pub use coder_database::Destination as Entity;

/// Names of application properties. Lower case, since HTTP would make them so.
pub mod property {
    /// The event's type; the subscriptions' filters look at it.
    pub const TYPE: &str = "type";
    /// The organization, or `platform`.
    pub const ORGANIZATION_ID: &str = "organizationid";
    /// The only group that is to have the message; every job has one.
    pub const TARGET: &str = "target";
    /// The only consumer of that group that is to have it.
    pub const CONSUMER: &str = "consumer";
    /// Which attempt of that consumer this is; a number, 1 is the first.
    pub const ATTEMPT: &str = "attempt";
}

/// The content type of an event.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Largest message, and largest sum of the messages of one call, in bytes as [`Message::size`] counts them:
/// 256 KiB, the limit of Service Bus Standard.
pub const SIZE_LIMIT: usize = 256 * 1024;

/// What the broker itself adds to a message, at most.
const OVERHEAD: usize = 512;

/// Longest message id and session id of Service Bus, in characters.
const ID_CHARS: usize = 128;

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `MessageId`: two with the same id within an hour are one. At most 128 characters.
    pub id: String,
    /// Where it is sent.
    pub entity: Entity,
    /// The event in the JSON form of CloudEvents 1.0.
    pub body: Vec<u8>,
    /// Media type of the body.
    pub content_type: String,
    /// The resource that it is about.
    pub subject: Option<String>,
    /// Messages of one session are delivered in order, where a subscription asks for that.
    pub session_id: Option<String>,
    /// Application properties, named in [`property`]; texts, numbers and booleans.
    pub properties: BTreeMap<String, Value>,
    /// Not delivered before. Brokers may round up to a second.
    pub scheduled_at: Option<Timestamp>,
    /// Given up if it was not delivered so many seconds after it could have been; the entity's own limit, if
    /// `None`.
    pub ttl_seconds: Option<u32>,
}

impl Message {
    /// The message of an event with this id; properties, subject and session follow from the event.
    pub fn of_event(id: impl Into<String>, entity: Entity, event: &Value) -> Self {
        let text = |name: &str| event[name].as_str().filter(|text| !text.is_empty());
        let mut properties = BTreeMap::new();
        for name in [property::TYPE, property::ORGANIZATION_ID] {
            properties.extend(text(name).map(|value| (name.to_owned(), json!(value))));
        }
        if entity == Entity::Jobs {
            properties.insert(property::TARGET.into(), event["data"]["group"].clone());
        }
        Self {
            id: id.into(),
            entity,
            body: event.to_string().into_bytes(),
            content_type: CLOUD_EVENT.into(),
            subject: text("subject").map(str::to_owned),
            // Subjects that begin alike for so long share a session: they keep their order all the more.
            session_id: text("subject").map(|subject| subject.chars().take(ID_CHARS).collect()),
            properties,
            scheduled_at: None,
            ttl_seconds: None,
        }
    }

    /// The message of an outbox record. Its id is the rest of the record's id.
    pub fn of_outbox(record: &Record<OutboxRecord>) -> Self {
        let (id, data) = (&record.meta.id, &record.data);
        let id = id.strip_prefix(coder_database::outbox::ID_PREFIX).unwrap_or(id);
        let mut message = Self::of_event(id, data.destination, &data.event);
        message.scheduled_at = data.due;
        let only = [(property::TARGET, &data.target), (property::CONSUMER, &data.consumer)];
        let only =
            only.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        message.properties.extend(only);
        message
    }

    /// A property's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.properties.get(name)?.as_str()
    }

    /// The event type.
    pub fn event_type(&self) -> &str {
        self.text(property::TYPE).unwrap_or_default()
    }

    /// The size that counts against [`SIZE_LIMIT`], in bytes.
    pub fn size(&self) -> usize {
        let named = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let properties = self.properties.iter().map(|(name, value)| name.len() + value.to_string().len());
        OVERHEAD
            + self.body.len()
            + self.id.len()
            + self.content_type.len()
            + named(&self.subject)
            + named(&self.session_id)
            + properties.sum::<usize>()
    }

    /// What is wrong with the message; `None` if every broker takes it.
    pub fn fault(&self) -> Option<String> {
        let size = self.size();
        let scalar = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        let long = |text: &str| text.is_empty() || text.chars().count() > ID_CHARS;
        if size > SIZE_LIMIT {
            return Some(format!("the message has {size} bytes, more than {SIZE_LIMIT}"));
        }
        if long(&self.id) || self.session_id.as_deref().is_some_and(long) {
            return Some(format!("an id of the message is empty or longer than {ID_CHARS} characters"));
        }
        let odd = self.properties.iter().find(|(_, value)| !scalar(value));
        odd.map(|(name, _)| format!("the property `{name}` is no text, number or boolean"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_of_its_event_what_brokers_look_at() {
        let event =
            json!({"id": "e", "type": "coder.users.team.created", "subject": "t-1", "organizationid": "o"});
        let message = Message::of_event("m", Entity::Events, &event);
        assert_eq!(message.body, event.to_string().into_bytes());
        assert_eq!(
            (message.event_type(), message.text("organizationid")),
            ("coder.users.team.created", Some("o"))
        );
        assert_eq!((message.subject.as_deref(), message.session_id.as_deref()), (Some("t-1"), Some("t-1")));
        assert_eq!(message.fault(), None);
        let job = json!({"type": "coder.users.job.purge", "data": {"group": "users"}});
        assert_eq!(Message::of_event("m", Entity::Jobs, &job).text("target"), Some("users"));
    }

    #[test]
    fn what_no_broker_takes_is_named() {
        let event = json!({"type": "t", "subject": "s".repeat(200)});
        let good = Message::of_event("m", Entity::Events, &event);
        assert_eq!(good.session_id.as_ref().map(String::len), Some(128));
        let bad = |change: &dyn Fn(&mut Message)| {
            let mut message = good.clone();
            change(&mut message);
            message.fault().unwrap_or_default()
        };
        assert!(bad(&|message| message.body = vec![b' '; SIZE_LIMIT]).contains("bytes"));
        assert!(bad(&|message| message.id = String::new()).contains("id"));
        assert!(bad(&|message| message.session_id = Some("é".repeat(129))).contains("id"));
        assert!(bad(&|message| drop(message.properties.insert("x".into(), json!([])))).contains("`x`"));
    }
}
