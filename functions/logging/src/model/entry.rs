//! An entry: one act, as a link of its chain.

use coder_core::Timestamp;
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One act of one actor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// 1, 2, … in each organization, without a gap, in the order of arrival.
    pub seq: u64,
    /// When the act was done.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Timestamp,
    /// When the entry was made; its month is the entry's.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub received_at: Timestamp,
    /// Who did it.
    pub actor: EntryActor,
    /// What: the event's type without `coder.`, such as `users.project.created`.
    pub action: String,
    /// What kind of act.
    pub category: Category,
    /// How much it matters.
    pub severity: Severity,
    /// How it ended.
    pub outcome: Outcome,
    /// What kind of resource it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Which resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The publishing group; of a custom entry, the caller's key or user.
    pub source: String,
    /// The event that the entry is of.
    pub event_id: String,
    /// What ties entries of one cause together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// For people; none if erased, as are the next three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<EntryChange>>,
    /// Particulars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// 16 random bytes in hexadecimal, which keep the payload from being guessed by its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_salt: Option<String>,
    /// SHA-256 over salt and payload.
    pub payload_hash: String,
    /// The hash of the entry before.
    pub prev_hash: String,
    /// SHA-256 over the entry before and this one.
    pub hash: String,
    /// That, when and why the payload was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

impl Entity for Entry {
    const TYPE: &'static str = "entry";
}

impl Entry {
    /// The entry without its payload; hash and number stay.
    pub fn without_payload(&self, erased: Erased) -> Self {
        let EntryActor { kind, id, .. } = &self.actor;
        Self {
            actor: EntryActor::new(*kind, id.clone()),
            message: None,
            changes: None,
            metadata: None,
            payload_salt: None,
            erased: Some(erased),
            ..self.clone()
        }
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryActor {
    /// What kind of actor.
    #[serde(rename = "type")]
    pub kind: ActorType,
    /// User id, key id, group or job.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// The person in whose name a key or service acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub on_behalf_of: Option<String>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub session_id: Option<String>,
    /// The name at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub ip_address: Option<String>,
    /// What the client said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub user_agent: Option<String>,
}

impl EntryActor {
    /// An actor without details.
    pub fn new(kind: ActorType, id: String) -> Self {
        Self {
            kind,
            id,
            on_behalf_of: None,
            session_id: None,
            display_name: None,
            ip_address: None,
            user_agent: None,
        }
    }
}

/// The kinds of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActorType {
    /// A person.
    User,
    /// An API key.
    ApiKey,
    /// An agent.
    Agent,
    /// A part of the platform.
    Service,
    /// A job, or nobody named.
    System,
    /// Somebody without a credential.
    Anonymous,
}

/// What kind of act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// A change.
    Action,
    /// Reading what is sensitive.
    Access,
    /// Credentials, roles and the audit itself.
    Security,
    /// What the platform does by itself.
    System,
    /// Added by the organization.
    Custom,
}

/// How much an act matters, least first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For those who look closely.
    Debug,
    /// Everyday.
    #[default]
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    /// Every severity, least first.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical];
}

/// How an act ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done.
    #[default]
    Success,
    /// Tried in vain.
    Failure,
    /// Refused.
    Denied,
}

/// One changed field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryChange {
    /// JSON pointer of the field.
    #[schemars(length(min = 1, max = 500))]
    pub path: String,
    /// The value before; null if there was none.
    #[serde(default)]
    pub before: Value,
    /// The value after; null if there is none.
    #[serde(default)]
    pub after: Value,
}

/// That a payload was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Erased {
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// By whom: a user id, or the job.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Example for Entry {
    fn example() -> Self {
        let hash = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d".to_owned();
        Self {
            seq: 42,
            time: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            actor: EntryActor {
                ip_address: Some("192.0.2.7".to_owned()),
                ..EntryActor::new(ActorType::User, coder_core::id::EXAMPLE.to_string())
            },
            action: "users.project.updated".to_owned(),
            category: Category::Action,
            severity: Severity::Info,
            outcome: Outcome::Success,
            resource_type: Some("project".to_owned()),
            resource_id: Some(coder_core::id::EXAMPLE.to_string()),
            project_id: None,
            source: "users".to_owned(),
            event_id: coder_core::id::EXAMPLE.to_string(),
            correlation_id: None,
            message: Some("Project updated".to_owned()),
            changes: Some(vec![EntryChange {
                path: "/name".to_owned(),
                before: json!("Engine"),
                after: json!("Engine 2"),
            }]),
            metadata: Some(Map::new()),
            payload_salt: Some("000102030405060708090a0b0c0d0e0f".to_owned()),
            payload_hash: hash.clone(),
            prev_hash: hash.clone(),
            hash,
            erased: None,
        }
    }
}
