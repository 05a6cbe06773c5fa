//! A message: one thing to tell, to many.

use std::collections::BTreeMap;

use coder_core::id::Uuid;
use coder_core::{Actor, ProjectId, TeamId, Timestamp};
use coder_database::{Entity, Record};
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::Content;
use crate::deliver::{Category, Channel, Criticality, DeliveryStatus, ResourceReference};

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// Waits for its time.
    Scheduled,
    /// Is being given to its recipients.
    Processing,
    /// Every recipient has a delivery.
    Done,
    /// Taken back before its time.
    Cancelled,
    /// Its time was over before it could be told.
    Expired,
}

/// What stands in place of a title that holds a secret.
pub const HIDDEN: &str = "(hidden)";

/// A message as it is stored, in the bucket of its month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// What it is about: a topic of the platform, or a sender's own.
    pub topic: String,
    /// What it is about, roughly.
    pub category: Category,
    /// How much it matters.
    pub criticality: Criticality,
    /// One line; for a topic with a template, in English.
    pub title: String,
    /// Plain text or the Markdown subset.
    pub body: String,
    /// Whether title and body are made for each recipient from the topic's template.
    pub templated: bool,
    /// What the template may name.
    pub data: Value,
    /// Text, data and link of a sensitive message, encrypted; gone once it is done.
    pub sealed: Option<String>,
    /// Whether the text holds a secret.
    pub sensitive: bool,
    /// Where it leads.
    pub action_url: Option<String>,
    /// The words on the button.
    pub action_label: Option<String>,
    /// What it is about.
    pub resource: Option<ResourceReference>,
    /// Only people who may read this project are told.
    pub project_id: Option<ProjectId>,
    /// The team whose defaults apply.
    pub team_id: Option<TeamId>,
    /// Who did what the message tells.
    pub actor: Option<Actor>,
    /// Whether the actor is told too.
    pub tells_actor: bool,
    /// `user:<id>`, `team:<id>`, `role:<name>`, `email:<address>`.
    pub recipients: Vec<String>,
    /// The only channels to use; `None` for all that preferences allow.
    pub channels: Option<Vec<Channel>>,
    /// Not before this time.
    pub scheduled_for: Option<Timestamp>,
    /// Not after this time.
    pub expires_at: Option<Timestamp>,
    /// The sender's own key for repeats.
    pub dedup_key: Option<String>,
    /// Where it stands.
    pub status: MessageStatus,
    /// Repeats that were dropped.
    #[serde(default)]
    pub repeats: u64,
}

impl Entity for Message {
    const TYPE: &'static str = "message";
    const SECRET: &'static [&'static str] = &["sealed", "body", "data", "title"];
}

impl Message {
    /// A message of nobody to nobody, without a title: ordinary in every way that is not said.
    pub fn new(topic: String, content: Content) -> Self {
        let Content { body, data, action_url, action_label, resource, project_id, .. } = content;
        let Content { team_id, channels, scheduled_for, expires_at, dedup_key, .. } = content;
        Self {
            topic,
            category: Category::default(),
            criticality: Criticality::default(),
            title: String::new(),
            body,
            templated: false,
            data,
            sealed: None,
            sensitive: false,
            action_url,
            action_label,
            resource,
            project_id,
            team_id,
            actor: None,
            tells_actor: false,
            recipients: Vec::new(),
            channels,
            scheduled_for,
            expires_at,
            dedup_key,
            status: MessageStatus::Processing,
            repeats: 0,
        }
    }
}

/// The note that a message was accepted, under the hash of what makes it the same; in the message's bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DedupNote {
    /// The first message.
    pub message_id: String,
}

impl Entity for DedupNote {
    const TYPE: &'static str = "message-dedup";
}

/// The bucket of a month.
pub fn month(time: Timestamp) -> String {
    time.to_string().chars().take(7).collect()
}

/// The bucket that a message id says; `None` if it is no id of a message.
pub fn bucket_of(id: &str) -> Option<String> {
    let (seconds, _) = id.parse::<Uuid>().ok()?.get_timestamp()?.to_unix();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok().map(month)
}

/// A message as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    /// The message.
    pub id: String,
    /// When it was accepted.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Who sent it.
    pub created_by: String,
    /// Changes at every write.
    pub etag: String,
    /// What it is about.
    pub topic: String,
    /// What it is about, roughly.
    pub category: Category,
    /// How much it matters.
    pub criticality: Criticality,
    /// One line.
    pub title: String,
    /// The text; empty for a sensitive message.
    pub body: String,
    /// Whether the text is hidden because it holds a secret.
    pub sensitive: bool,
    /// Where it leads.
    pub action_url: Option<String>,
    /// What it is about.
    pub resource: Option<ResourceReference>,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// Who is told.
    pub recipients: Vec<String>,
    /// The only channels to use.
    pub channels: Option<Vec<Channel>>,
    /// Not before this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub scheduled_for: Option<Timestamp>,
    /// Not after this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// Where it stands.
    pub status: MessageStatus,
    /// Repeats that were dropped.
    pub repeats: u64,
    /// Deliveries in each state; only where one message is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<DeliveryStatus, u64>>,
}

impl MessageView {
    /// What is shown of a message.
    pub fn of(record: Record<Message>, counts: Option<BTreeMap<DeliveryStatus, u64>>) -> Self {
        let (meta, message) = (record.meta, record.data);
        Self {
            id: meta.id,
            created_at: meta.created_at,
            created_by: meta.created_by,
            etag: meta.etag,
            topic: message.topic,
            category: message.category,
            criticality: message.criticality,
            title: message.title,
            body: message.body,
            sensitive: message.sensitive,
            action_url: message.action_url,
            resource: message.resource,
            project_id: message.project_id,
            recipients: message.recipients,
            channels: message.channels,
            scheduled_for: message.scheduled_for,
            expires_at: message.expires_at,
            status: message.status,
            repeats: message.repeats,
            counts,
        }
    }
}

impl Example for MessageView {
    fn example() -> Self {
        Self {
            id: coder_core::id::EXAMPLE.to_string(),
            created_at: Timestamp::UNIX_EPOCH,
            created_by: coder_core::id::EXAMPLE.to_string(),
            etag: "5f0c1d2e3a4b5c6d".to_owned(),
            topic: "announcement".to_owned(),
            category: Category::System,
            criticality: Criticality::Medium,
            title: "The build is frozen from noon".to_owned(),
            body: "Please merge before **12:00**.".to_owned(),
            sensitive: false,
            action_url: Some("/builds".to_owned()),
            resource: None,
            project_id: None,
            recipients: vec!["role:member".to_owned()],
            channels: None,
            scheduled_for: None,
            expires_at: None,
            status: MessageStatus::Done,
            repeats: 0,
            counts: Some(BTreeMap::from([(DeliveryStatus::Delivered, 12)])),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message for tests.
    pub(crate) fn message() -> Message {
        let resource = Some(ResourceReference { kind: "task".to_owned(), id: "ENG-12".to_owned() });
        let content = Content { body: "Speed the parser up".to_owned(), resource, ..Content::default() };
        Message {
            category: Category::Planning,
            title: "ENG-12 was assigned to you".to_owned(),
            ..Message::new("task.assigned".to_owned(), content)
        }
    }

    #[test]
    fn an_id_that_is_none_has_no_bucket() {
        assert_eq!(bucket_of("nothing"), None);
        assert_eq!(bucket_of("01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f").as_deref(), Some("2025-09"));
    }
}
