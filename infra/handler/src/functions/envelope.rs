//! The envelope of the Functions host around a message: reading it, and writing it where the platform itself is
//! the host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coder_queue::message::SIZE_LIMIT;
use serde_json::{Map, Value, json};

/// A message as it was delivered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Delivery {
    /// The broker's id of the message.
    pub(super) message_id: Option<String>,
    /// How often the broker has delivered it, this time included.
    pub(super) count: u32,
    /// What is inside.
    pub(super) body: Result<Value, Unreadable>,
    properties: Map<String, Value>,
    metadata: Map<String, Value>,
}

/// What cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Why, for people.
    pub(super) reason: String,
    /// What came.
    pub(super) raw: Vec<u8>,
}

impl Delivery {
    /// Reads an envelope, whatever it is.
    pub(super) fn read(envelope: &Value) -> Self {
        let body = body(envelope);
        let metadata = metadata(envelope, body.as_ref().ok());
        let object = |name: &str| match metadata.get(name).map(unwrapped) {
            Some(Value::Object(fields)) => Some(lower_case(fields)),
            _ => None,
        };
        let properties =
            object("applicationproperties").or_else(|| object("userproperties")).unwrap_or_default();
        let text = |name: &str| metadata.get(name).map(unwrapped).as_ref().and_then(text);
        Self {
            message_id: text("messageid").filter(|id| !id.is_empty()),
            count: text("deliverycount").and_then(|count| count.parse().ok()).unwrap_or(1),
            body,
            properties,
            metadata,
        }
    }

    /// The text of an application property; names have no case, since HTTP would lose it.
    pub(super) fn property(&self, name: &str) -> Option<String> {
        self.properties.get(&name.to_ascii_lowercase()).map(unwrapped).as_ref().and_then(text)
    }

    /// The text of a property that some brokers set on the message itself.
    pub(super) fn property_or_metadata(&self, name: &str) -> Option<String> {
        let own = || self.metadata.get(&name.to_ascii_lowercase()).map(unwrapped).as_ref().and_then(text);
        self.property(name).or_else(own)
    }
}

/// Hosts encode values differently, so: base64 of JSON, JSON text, JSON text in JSON text, and bare JSON are all
/// read.
fn body(envelope: &Value) -> Result<Value, Unreadable> {
    let unreadable =
        |reason: &str| Unreadable { reason: reason.to_owned(), raw: envelope.to_string().into_bytes() };
    let data = envelope.get("Data").and_then(Value::as_object);
    let data = data.ok_or_else(|| unreadable("The envelope has no `Data`."))?;
    let value = data.values().next().ok_or_else(|| unreadable("The envelope's `Data` is empty."))?;
    let Value::String(text) = value else {
        return sized(value.to_string().as_bytes()).map(|()| value.clone());
    };
    let text = match serde_json::from_str::<Value>(text) {
        Ok(Value::String(inner)) => inner,
        Ok(value @ Value::Object(_)) => return sized(text.as_bytes()).map(|()| value),
        _ => text.clone(),
    };
    if let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(&text) {
        return sized(text.as_bytes()).map(|()| value);
    }
    // Digits are JSON, and base64 too; an event is neither a number nor a list.
    let Ok(bytes) = STANDARD.decode(&text) else {
        sized(text.as_bytes())?;
        let reason = "The message is neither a JSON object nor base64.".to_owned();
        return Err(Unreadable { reason, raw: text.into_bytes() });
    };
    sized(&bytes)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // The parser's own words can quote the message.
        let (line, column) = (error.line(), error.column());
        let reason = format!("The message is no JSON: it is wrong at line {line}, column {column}.");
        Unreadable { reason, raw: bytes }
    })
}

fn sized(bytes: &[u8]) -> Result<(), Unreadable> {
    if bytes.len() <= SIZE_LIMIT {
        return Ok(());
    }
    let reason = format!("The message has {} bytes; at most {SIZE_LIMIT} are accepted.", bytes.len());
    Err(Unreadable { reason, raw: bytes.to_vec() })
}

/// The metadata under lower-case names. A host can spill the message's own fields into it: what the message has
/// under a name is not believed of the metadata.
fn metadata(envelope: &Value, body: Option<&Value>) -> Map<String, Value> {
    let Some(Value::Object(fields)) = envelope.get("Metadata") else { return Map::new() };
    let mut metadata = lower_case(fields.clone());
    for name in body.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        metadata.remove(&name.to_ascii_lowercase());
    }
    metadata
}

fn lower_case(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

/// A value that may be JSON text instead of JSON.
fn unwrapped(value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    match serde_json::from_str::<Value>(text) {
        Ok(inner @ (Value::String(_) | Value::Object(_))) => inner,
        _ => value.clone(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The envelope with which the host delivers a message whose binding is `message` and `dataType` is `binary`.
pub fn envelope(message: &Value, message_id: &str, delivery_count: u32) -> Value {
    json!({
        "Data": {"message": STANDARD.encode(message.to_string())},
        "Metadata": {
            "DeliveryCount": delivery_count.to_string(),
            "MessageId": format!("\"{message_id}\""),
            "ContentType": "\"application/json\"",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Value, String> {
        body(&json!({"Data": {"anything": value}})).map_err(|unreadable| unreadable.reason)
    }

    #[test]
    fn reads_every_encoding_of_a_message() {
        let message = json!({"id": "1"});
        let text = message.to_string();
        let doubled = Value::String(text.clone()).to_string();
        let base64 = STANDARD.encode(&text);
        let base64_doubled = json!(base64).to_string();
        for value in [json!(base64), json!(base64_doubled), json!(text), json!(doubled), message.clone()] {
            assert_eq!(read(value.clone()), Ok(message.clone()), "{value}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest_and_keeps_it() {
        let large = STANDARD.encode(vec![b' '; SIZE_LIMIT + 1]);
        let cases = [
            (json!({}), "no `Data`"),
            (json!([]), "no `Data`"),
            (json!({"Data": {}}), "empty"),
            (json!({"Data": {"m": "%%%"}}), "neither"),
            (json!({"Data": {"m": "YWJj"}}), "line 1, column 1"),
            (json!({"Data": {"m": large}}), "at most 262144"),
            (json!({"Data": {"m": {"a": " ".repeat(SIZE_LIMIT)}}}), "at most 262144"),
            (json!({"Data": {"m": " ".repeat(SIZE_LIMIT + 1)}}), "at most 262144"),
        ];
        for (envelope, word) in cases {
            let unreadable = Delivery::read(&envelope).body.unwrap_err();
            assert!(unreadable.reason.contains(word), "{}", unreadable.reason);
            assert!(!unreadable.raw.is_empty());
        }
    }

    #[test]
    fn reads_metadata_in_every_encoding() {
        let properties = json!({"Target": "users", "attempt": 3, "consumer": "\"erase\""});
        for (id, count, properties) in [
            (json!("\"m-1\""), json!("2"), properties.clone()),
            (json!("m-1"), json!(2), json!(properties.to_string())),
        ] {
            let metadata =
                json!({"MessageId": id, "DeliveryCount": count, "ApplicationProperties": properties});
            let read = Delivery::read(&json!({"Data": {"m": {}}, "Metadata": metadata}));
            assert_eq!((read.message_id.as_deref(), read.count), (Some("m-1"), 2));
            let property = |name: &str| read.property(name).unwrap_or_default();
            assert_eq!(
                [property("target"), property("attempt"), property("consumer")],
                ["users", "3", "erase"]
            );
        }
        let bare = Delivery::read(&json!({"Data": {"m": {}}, "Metadata": {"DeliveryCount": "many"}}));
        assert_eq!((bare.message_id.clone(), bare.count, bare.property("target")), (None, 1, None));
    }

    #[test]
    fn what_a_sender_spilled_into_the_metadata_is_not_believed() {
        let message = json!({"MessageId": "forged", "applicationProperties": {"consumer": "erase"}});
        let metadata = json!({"MessageId": "\"forged\"", "ApplicationProperties": {"consumer": "erase"}});
        let read = Delivery::read(&json!({"Data": {"m": message}, "Metadata": metadata}));
        assert_eq!((read.message_id.clone(), read.property("consumer")), (None, None));
    }
}
