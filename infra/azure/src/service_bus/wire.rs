//! Messages as the bytes of one request.
//!
//! Nearly always that is the JSON form for several messages, also for one: it keeps a property's name and type and
//! takes any text. Its bodies are texts in JSON, which are longer than the bodies themselves. A message that is too
//! long in that form or is no text goes alone, as raw bytes with headers.

use std::collections::BTreeMap;

use coder_core::Timestamp;
use coder_queue::Message;
use coder_queue::message::SIZE_LIMIT;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::Serialize;
use serde_json::Value;

const BATCH: &str = "application/vnd.microsoft.servicebus.json";

/// Headers that have a meaning of their own, so that a property cannot have their name.
const TAKEN: [&str; 16] = [
    "accept",
    "accept-encoding",
    "authorization",
    "brokerproperties",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Body and headers of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// A message of several.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    body: &'a str,
    broker_properties: BrokerProperties<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    user_properties: &'a BTreeMap<String, Value>,
}

/// What the broker itself looks at.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BrokerProperties<'a> {
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_enqueue_time_utc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_live: Option<u32>,
    /// The same for the JSON form, whose samples have it so; a name that is not known is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_live_time_span: Option<String>,
}

impl<'a> BrokerProperties<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            message_id: &message.id,
            label: message.subject.as_deref(),
            session_id: message.session_id.as_deref(),
            scheduled_enqueue_time_utc: message.scheduled_at.and_then(http_date),
            time_to_live: message.ttl_seconds,
            time_to_live_time_span: None,
        }
    }
}

/// The request for these messages, or why there is none for them together; for a single one that is final.
pub(super) fn encode(messages: &[Message]) -> Result<Post, String> {
    if let Some(body) = batch(messages).filter(|body| body.len() <= SIZE_LIMIT) {
        return Ok(Post { headers: vec![("content-type".into(), BATCH.into())], body });
    }
    match messages {
        [message] => single(message),
        _ => Err("the messages do not fit into one request".into()),
    }
}

/// The JSON form; `None` if a body is no text.
fn batch(messages: &[Message]) -> Option<Vec<u8>> {
    let entry = |message| {
        let mut broker_properties = BrokerProperties::of(message);
        broker_properties.time_to_live_time_span = message.ttl_seconds.map(time_span);
        let body = std::str::from_utf8(&message.body).ok()?;
        Some(Entry { body, broker_properties, user_properties: &message.properties })
    };
    let entries: Vec<Entry<'_>> = messages.iter().map(entry).collect::<Option<_>>()?;
    serde_json::to_vec(&entries).ok()
}

/// The raw body, and everything else in headers.
fn single(message: &Message) -> Result<Post, String> {
    let broker = serde_json::to_string(&BrokerProperties::of(message)).map_err(|error| error.to_string())?;
    let mut headers = vec![
        ("content-type".to_owned(), message.content_type.clone()),
        ("brokerproperties".to_owned(), ascii(&broker)),
    ];
    for (name, value) in &message.properties {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(fits) || TAKEN.contains(&name.as_str()) {
            return Err(format!(
                "a message of its kind cannot have the property `{name}`: it would be a header"
            ));
        }
        headers.push((name.clone(), ascii(&value.to_string())));
    }
    Ok(Post { headers, body: message.body.clone() })
}

/// JSON in printable ASCII, as headers want it.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.extend(format!("\\u{unit:04x}").chars());
            }
        }
    }
    text
}

/// A time as HTTP writes it, not earlier than the time: its unit is the second.
fn http_date(time: Timestamp) -> Option<String> {
    let second = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::from_second(second).ok()?).ok()
}

/// Seconds in the form `d.hh:mm:ss`.
fn time_span(seconds: u32) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    format!("{}.{:02}:{:02}:{:02}", hours / 24, hours % 24, minutes % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_queue::Entity;
    use serde_json::json;

    fn message() -> Message {
        let event = json!({"type": "coder.notes.note.made", "organizationid": "platform", "subject": "n-1"});
        let mut message = Message::of_event("m-1", Entity::Events, &event);
        message.body = r#"{"a":"é"}"#.into();
        message
    }

    fn text(post: Post) -> String {
        String::from_utf8(post.body).unwrap()
    }

    #[test]
    fn texts_go_as_json_byte_for_byte() {
        let mut other = message();
        other.id = "m-2".into();
        other.scheduled_at = Some("2026-11-23T08:46:49.001Z".parse().unwrap());
        (other.ttl_seconds, other.session_id, other.subject) = (Some(90_061), None, None);
        other.properties = [("attempt".to_owned(), json!(2)), ("again".to_owned(), json!(true))].into();
        let post = encode(&[message(), other]).unwrap();
        assert_eq!(post.headers, [("content-type".into(), BATCH.to_owned())]);
        let wanted = concat!(
            r#"[{"Body":"{\"a\":\"é\"}","BrokerProperties":{"MessageId":"m-1","Label":"n-1","SessionId":"n-1"},"#,
            r#""UserProperties":{"organizationid":"platform","type":"coder.notes.note.made"}},"#,
            r#"{"Body":"{\"a\":\"é\"}","BrokerProperties":{"MessageId":"m-2","#,
            r#""ScheduledEnqueueTimeUtc":"Mon, 23 Nov 2026 08:46:50 GMT","TimeToLive":90061,"#,
            r#""TimeToLiveTimeSpan":"1.01:01:01"},"UserProperties":{"again":true,"attempt":2}}]"#
        );
        assert_eq!(text(post), wanted);
    }

    #[test]
    fn what_is_no_text_goes_raw_with_ascii_headers() {
        let mut message = message();
        message.body = vec![0, 159, 146, 150];
        message.subject = Some("é😀\u{7f}".into());
        message.properties.insert("attempt".into(), json!(2));
        message.properties.insert("note".into(), json!("say \"é\""));
        let post = encode(std::slice::from_ref(&message)).unwrap();
        let headers: Vec<(&str, &str)> = post.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let broker = r#"{"MessageId":"m-1","Label":"\u00e9\ud83d\ude00\u007f","SessionId":"n-1"}"#;
        let wanted = [
            ("content-type", "application/cloudevents+json"),
            ("brokerproperties", broker),
            ("attempt", "2"),
            ("note", r#""say \"\u00e9\"""#),
            ("organizationid", r#""platform""#),
            ("type", r#""coder.notes.note.made""#),
        ];
        assert_eq!(headers, wanted);
        assert_eq!(post.body, message.body);
        assert!(encode(&[message.clone(), message]).is_err(), "several only as texts");
    }

    #[test]
    fn what_json_makes_too_long_goes_raw() {
        let mut message = message();
        message.body = vec![b'"'; SIZE_LIMIT * 3 / 4];
        assert_eq!(message.fault(), None);
        let post = encode(std::slice::from_ref(&message)).unwrap();
        assert_eq!(post.body, message.body);
        assert!(encode(&[message.clone(), message]).is_err());
    }

    #[test]
    fn a_property_is_never_taken_for_a_header() {
        for name in ["host", "content-length", "Type", "a b", "", "brokerproperties"] {
            let mut message = message();
            message.body = vec![255];
            message.properties.insert(name.into(), json!(1));
            assert!(encode(&[message]).is_err(), "{name}");
        }
    }

    #[test]
    fn a_schedule_is_never_early() {
        let date = |text: &str| http_date(text.parse().unwrap()).unwrap();
        assert_eq!(date("2026-11-23T08:46:50Z"), "Mon, 23 Nov 2026 08:46:50 GMT");
        assert_eq!(date("2026-11-23T08:46:50.001Z"), "Mon, 23 Nov 2026 08:46:51 GMT");
    }
}
