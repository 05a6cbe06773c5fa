//! The dead letters of the broker itself, read under a lock one at a time.
//!
//! A group's function `on-dead-letter` takes them as they come and makes documents of them, and those are what
//! operators list and replay. This reader is for when there is no such function any more, or it cannot run.

use std::collections::BTreeSet;
use std::sync::Arc;

use azure_core::http::headers::{CONTENT_TYPE, HeaderName, Headers};
use azure_core::http::{Method, RawResponse, StatusCode};
use coder_core::Timestamp;
use coder_queue::message::{CLOUD_EVENT, property};
use coder_queue::{Entity, Message, PublishError, Publisher};
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::refusal::Refusal;

/// Seconds that the service waits for a message when there is none.
const PATIENCE: &str = "1";

/// Characters of an id that are kept when a message is sent again, so that what is added fits.
const ID_KEPT: usize = 96;

const BROKER_PROPERTIES: HeaderName = HeaderName::from_static("brokerproperties");
const LOCATION: HeaderName = HeaderName::from_static("location");

/// Properties that are read back. Any header could be one, so they have to be known.
const PROPERTIES: [&str; 5] =
    [property::TYPE, property::ORGANIZATION_ID, property::TARGET, property::CONSUMER, property::ATTEMPT];

/// Why a dead letter was not read or settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetterError {
    /// The lock has ended: somebody else may have the message.
    #[error("the lock on the message has ended; read it again")]
    LockLost,
    /// The broker.
    #[error(transparent)]
    Broker(#[from] PublishError),
    /// The broker's answer is not as it is documented.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

impl From<Refusal> for DeadLetterError {
    fn from(refusal: Refusal) -> Self {
        Self::Broker(refusal.of_message(0))
    }
}

/// A message that the broker gave up, under a lock.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadMessage {
    /// The message as it was published, with the properties of the platform.
    pub message: Message,
    /// Why the broker gave it up, in a word.
    pub reason: Option<String>,
    /// The same in full.
    pub description: Option<String>,
    /// Its number in the queue.
    pub sequence_number: i64,
    /// How often it was delivered, this time included.
    pub delivery_count: u32,
    /// When it was published.
    pub enqueued_at: Option<Timestamp>,
    /// The address that settles it.
    lock: String,
}

/// What is read of the header `BrokerProperties`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BrokerProperties {
    message_id: String,
    label: Option<String>,
    session_id: Option<String>,
    sequence_number: i64,
    #[serde(default)]
    delivery_count: u32,
    enqueued_time_utc: Option<String>,
}

/// The dead letters of a group's subscription.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    client: Arc<Client>,
    entity: Entity,
    group: String,
}

impl DeadLetterQueue {
    pub(super) fn new(client: Arc<Client>, entity: Entity, group: &str) -> Self {
        Self { client, entity, group: group.to_owned() }
    }

    /// Locks the oldest that nobody has locked; `None` if there is none. What is not settled before the
    /// subscription's lock ends can be read again.
    pub async fn receive(&self) -> Result<Option<DeadMessage>, DeadLetterError> {
        let path = [self.entity.name(), "subscriptions", &self.group, "$DeadLetterQueue", "messages", "head"];
        let mut request = self.client.request(Method::Post, &path);
        request.url_mut().query_pairs_mut().append_pair("timeout", PATIENCE);
        let answer = self.client.send(&request).await?;
        if answer.status() == StatusCode::NoContent {
            return Ok(None);
        }
        read(self.entity, answer).map(Some).map_err(DeadLetterError::Unreadable)
    }

    /// Shows each message to `settle` under its lock, the oldest first and `most` at the most, and gives back those
    /// that it does not say it has settled. Says whether there may be more.
    pub async fn visit(
        &self,
        most: usize,
        mut settle: impl AsyncFnMut(&DeadMessage) -> bool,
    ) -> Result<bool, DeadLetterError> {
        let (mut held, mut seen) = (Vec::new(), BTreeSet::new());
        let mut ended = loop {
            if seen.len() == most {
                break Ok(true);
            }
            let dead = match self.receive().await {
                Ok(Some(dead)) => dead,
                Ok(None) => break Ok(false),
                Err(error) => break Err(error),
            };
            if !seen.insert(dead.sequence_number) {
                // The first locks have ended, and these stand before what was not seen yet.
                held.push(dead);
                break Ok(true);
            }
            if !settle(&dead).await {
                held.push(dead);
            }
        };
        for dead in &held {
            match self.release(dead).await {
                Ok(()) | Err(DeadLetterError::LockLost) => {}
                Err(error) => ended = ended.and(Err(error)),
            }
        }
        ended
    }

    /// Removes the message for good.
    pub async fn complete(&self, dead: &DeadMessage) -> Result<(), DeadLetterError> {
        self.settle(dead, Method::Delete).await
    }

    /// Gives the lock back, so that the message can be read again at once.
    pub async fn release(&self, dead: &DeadMessage) -> Result<(), DeadLetterError> {
        self.settle(dead, Method::Put).await
    }

    /// Sends the message to this group again, with all its attempts, at `due` or at once, and removes it here.
    ///
    /// It gets a new id, or the broker would take it for a repeat; always the same, so that it is sent once even
    /// if the removal fails and the replay is done again.
    pub async fn replay(
        &self,
        dead: &DeadMessage,
        due: Option<Timestamp>,
        publisher: &dyn Publisher,
    ) -> Result<(), DeadLetterError> {
        let mut message = Message { scheduled_at: due, ..dead.message.clone() };
        let kept: String = message.id.chars().take(ID_KEPT).collect();
        message.id = format!("{kept}~{}", dead.sequence_number);
        message.properties.insert(property::TARGET.to_owned(), Value::from(self.group.as_str()));
        message.properties.remove(property::ATTEMPT);
        publisher.publish(&[message]).await?;
        self.complete(dead).await
    }

    /// The group whose subscription it is.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The topic of that subscription.
    pub fn entity(&self) -> Entity {
        self.entity
    }

    async fn settle(&self, dead: &DeadMessage, method: Method) -> Result<(), DeadLetterError> {
        let request = self.client.request_at(method, &dead.lock).ok_or_else(|| elsewhere(&dead.lock))?;
        match self.client.send(&request).await {
            Ok(_) => Ok(()),
            Err(Refusal::Gone(_)) => Err(DeadLetterError::LockLost),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn elsewhere(address: &str) -> DeadLetterError {
    DeadLetterError::Unreadable(format!("the lock is at `{address}`, which is outside the namespace"))
}

fn read(entity: Entity, answer: RawResponse) -> Result<DeadMessage, String> {
    let headers = answer.headers();
    let broker = headers.get_optional_str(&BROKER_PROPERTIES).ok_or("it has no `BrokerProperties`")?;
    let broker: BrokerProperties =
        serde_json::from_str(broker).map_err(|error| format!("`BrokerProperties`: {error}"))?;
    let lock = headers.get_optional_str(&LOCATION).ok_or("it has no `Location`")?.to_owned();
    let properties =
        PROPERTIES.into_iter().filter_map(|name| Some((name.to_owned(), property_of(headers, name)?)));
    let text = |name| property_of(headers, name).and_then(|value| value.as_str().map(str::to_owned));
    let message = Message {
        id: broker.message_id,
        entity,
        content_type: headers.get_optional_str(&CONTENT_TYPE).unwrap_or(CLOUD_EVENT).to_owned(),
        subject: broker.label,
        session_id: broker.session_id,
        properties: properties.collect(),
        scheduled_at: None,
        ttl_seconds: None,
        body: Vec::new(),
    };
    let (reason, description) = (text("deadletterreason"), text("deadlettererrordescription"));
    let (sequence_number, delivery_count) = (broker.sequence_number, broker.delivery_count);
    let message = Message { body: answer.body().to_vec(), ..message };
    let enqueued = broker.enqueued_time_utc.as_deref();
    let enqueued_at = enqueued.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    Ok(DeadMessage { message, reason, description, sequence_number, delivery_count, enqueued_at, lock })
}

/// A property from its header, whose value is JSON.
fn property_of(headers: &Headers, name: &'static str) -> Option<Value> {
    let value = headers.get_optional_str(&HeaderName::from_static(name))?;
    // Texts are in quotes; should one be bare, it is a text all the same.
    Some(serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)))
}
