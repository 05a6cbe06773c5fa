//! A broker's delivery as the Functions host sends it to a custom handler: trigger binding `message`, one message
//! a call, `dataType` binary.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coder_core::Timestamp;
use coder_embedded::broker::Delivery;
use serde::Serialize;
use serde_json::{Value, json};

/// What the broker calls itself where a namespace has its host name.
const NAMESPACE: &str = "localhost";

/// Properties that say why a message is a dead letter, as in Service Bus.
const REASON: &str = "DeadLetterReason";
const DESCRIPTION: &str = "DeadLetterErrorDescription";

/// The body of a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Envelope {
    data: Data,
    metadata: Metadata,
}

#[derive(Debug, Serialize)]
struct Data {
    message: String,
}

/// Texts are JSON in a text, numbers are texts, times lose their fractions; what is not set is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    delivery_count: String,
    message_id: String,
    lock_token: String,
    sequence_number: String,
    enqueued_time_utc: String,
    enqueued_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_utc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_source: Option<String>,
    content_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    application_properties: BTreeMap<String, Value>,
    user_properties: BTreeMap<String, Value>,
    message_receiver: Empty,
    message_session: Empty,
    message_actions: Empty,
    session_actions: Empty,
    receive_actions: Empty,
    client: Client,
    #[serde(rename = "sys")]
    system: System,
}

/// An object of the host's that has nothing to show.
#[derive(Debug, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Client {
    fully_qualified_namespace: &'static str,
    is_closed: bool,
    transport_type: u8,
    identifier: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct System {
    method_name: String,
    utc_now: String,
    rand_guid: String,
}

impl Envelope {
    /// The envelope of a delivery to `function`. `call` is a new UUID.
    pub(crate) fn new(delivery: &Delivery, function: &str, now: Timestamp, call: &str) -> Self {
        let message = &delivery.message;
        let mut properties = message.properties.clone();
        if let Some(reason) = &delivery.dead_letter {
            properties.insert(REASON.into(), json!(reason.reason));
            properties.insert(DESCRIPTION.into(), json!(reason.description));
        }
        let subject = message.subject.as_deref().map(quoted);
        let source = &delivery.lock.source;
        let metadata = Metadata {
            delivery_count: delivery.delivery_count.to_string(),
            message_id: quoted(&message.id),
            lock_token: quoted(&delivery.lock.token),
            sequence_number: delivery.lock.sequence_number.to_string(),
            enqueued_time_utc: without_zone(delivery.enqueued_at),
            enqueued_time: with_offset(delivery.enqueued_at),
            expires_at_utc: delivery.expires_at.map(without_zone),
            expires_at: delivery.expires_at.map(with_offset),
            dead_letter_source: source.is_dead_letters().then(|| quoted(&source.living().to_string())),
            content_type: quoted(&message.content_type),
            label: subject.clone(),
            subject,
            session_id: message.session_id.as_deref().map(quoted),
            user_properties: properties.clone(),
            application_properties: properties,
            message_receiver: Empty {},
            message_session: Empty {},
            message_actions: Empty {},
            session_actions: Empty {},
            receive_actions: Empty {},
            client: Client {
                fully_qualified_namespace: NAMESPACE,
                is_closed: false,
                transport_type: 0,
                identifier: format!("{NAMESPACE}-{call}"),
            },
            system: System {
                method_name: function.to_owned(),
                utc_now: now.to_string(),
                rand_guid: call.to_owned(),
            },
        };
        Self { data: Data { message: STANDARD.encode(&message.body) }, metadata }
    }
}

/// A JSON text that is itself written as one.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn without_zone(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn with_offset(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[cfg(test)]
mod tests;
