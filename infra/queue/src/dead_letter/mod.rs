//! Dead letters: what a group could not take, kept with the reason until somebody decides about it.

mod given_up;
mod mask;
mod operations;
mod selection;

use coder_core::{Timestamp, text};
use coder_database::{Container, Entity, Partition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use given_up::given_up;
pub use mask::{mask, masked};
pub use operations::{DeadLetters, Replayed};
pub use selection::Selection;

/// Seconds for which a dead letter is kept after the last failure: 90 days.
pub const RETENTION_SECONDS: i64 = 90 * 24 * 3600;

/// The most bytes that are kept of a message that cannot be read.
pub const RAW_LIMIT: usize = 64 * 1024;

/// The most characters of an error that are kept.
pub const ERROR_LIMIT: usize = 1000;

/// Why something is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The consumer refused it for good.
    Rejected,
    /// The consumer failed at every attempt.
    AttemptsExhausted,
    /// It is no event that can be read.
    Malformed,
    /// The broker delivered it as often as it does, and nobody said that it was taken: a crash, usually.
    DeliveryCountExceeded,
    /// It waited longer than messages are kept.
    Expired,
    /// There is nobody to give it to, or no way.
    Unroutable,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Rejected,
        Self::AttemptsExhausted,
        Self::Malformed,
        Self::DeliveryCountExceeded,
        Self::Expired,
        Self::Unroutable,
    ];

    /// The reason as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Malformed => "malformed",
            Self::DeliveryCountExceeded => "delivery_count_exceeded",
            Self::Expired => "expired",
            Self::Unroutable => "unroutable",
        }
    }
}

/// What was decided about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing yet.
    Open,
    /// It was sent to its consumer again.
    Replayed,
    /// It is not to be delivered.
    Dropped,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Replayed, Self::Dropped];

    /// The state as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
        }
    }
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The group: the consumer that is named, or all that asked for the type.
    #[default]
    Group,
    /// The group's jobs: it starts one.
    Jobs,
    /// Every group that asked for the type: no broker ever took it.
    Everybody,
}

/// A dead letter of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The group that could not take it.
    pub group: String,
    /// The consumer that could not; null if the message reached none.
    pub consumer: Option<String>,
    /// Whom the message is for; a replay sends it there.
    #[serde(default)]
    pub audience: Audience,
    /// The event's id; null if it cannot be read.
    pub event_id: Option<String>,
    /// The event's type.
    pub event_type: Option<String>,
    /// The resource that the event is about.
    pub subject: Option<String>,
    /// The organization of the event, or `platform`.
    pub event_organization_id: Option<String>,
    /// Why it is here.
    pub reason: Reason,
    /// The same for people, with the particulars.
    pub description: String,
    /// Attempts at delivery.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// When it first failed for good.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first_at: Timestamp,
    /// When it last failed for good.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_at: Timestamp,
    /// The event, as it would be sent again; null if it cannot be read.
    pub event: Option<Value>,
    /// The event as it came, where it was edited.
    pub original_event: Option<Value>,
    /// The beginning of a message that cannot be read.
    pub raw: Option<String>,
    /// What was decided.
    pub state: State,
    /// How often it was sent again.
    pub replays: u32,
}

impl Entity for DeadLetter {
    const TYPE: &'static str = "dead-letter";
    // An event can hold anything; what is shown of it is masked by the names of its fields.
    const SECRET: &'static [&'static str] = &["event", "originalEvent", "raw", "lastError", "description"];
}

impl DeadLetter {
    /// A dead letter for this reason, of which nothing more is known.
    pub fn new(group: &str, reason: Reason, description: impl Into<String>, now: Timestamp) -> Self {
        Self {
            group: group.to_owned(),
            consumer: None,
            audience: Audience::Group,
            event_id: None,
            event_type: None,
            subject: None,
            event_organization_id: None,
            reason,
            description: shortened(&description.into()),
            attempts: 1,
            last_error: None,
            first_at: now,
            last_at: now,
            event: None,
            original_event: None,
            raw: None,
            state: State::Open,
            replays: 0,
        }
    }

    /// Adds the event and what is found by.
    pub fn with_event(mut self, event: Value) -> Self {
        let attribute = |name: &str| event[name].as_str().map(str::to_owned);
        self.event_id = attribute("id");
        self.event_type = attribute("type");
        self.subject = attribute("subject");
        self.event_organization_id = attribute("organizationid");
        self.replays = crate::cloud_event::replays(&event);
        self.event = Some(event);
        self
    }

    /// Adds the beginning of what cannot be read.
    pub fn with_raw(mut self, raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&raw[..raw.len().min(RAW_LIMIT)]);
        // A replacement character is longer than the byte that it stands for.
        let end = text.floor_char_boundary(RAW_LIMIT);
        self.raw = Some(text[..end].to_owned());
        self
    }

    /// Adds the last error.
    pub fn with_error(mut self, error: &str) -> Self {
        self.last_error = Some(shortened(error));
        self
    }

    /// The document's id: one dead letter for each event and consumer, however often it fails.
    pub fn id(&self, message_id: Option<&str>) -> String {
        match (&self.event_id, &self.consumer) {
            (Some(event), Some(consumer)) => plain(&format!("{event}.{consumer}")),
            (Some(event), None) => plain(event),
            (None, _) => match message_id {
                Some(message) => plain(message),
                None => text::sha256_hex(&[self.raw.as_deref().unwrap_or_default()]),
            },
        }
    }
}

/// The partition of a group's dead letters in one of its containers.
pub fn partition(container: &Container, group: &str) -> Partition {
    container.bookkeeping("dead-letters", group)
}

/// Text that can be a document's id and a segment of a path: others are told by their digest.
fn plain(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.is_empty() && id.len() <= 200 && id.chars().all(fits) && !id.starts_with('.') {
        id.to_owned()
    } else {
        text::sha256_hex(&[id])
    }
}

pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(ERROR_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
