//! Values: the one type that holds one in the clear, the shapes of the kinds, and what makes new ones.

mod certificate;
mod generator;
mod kind;
mod shape;

use std::fmt;

use coder_core::Fault;
use coder_vault::Zeroizing;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::zeroize::Zeroize as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

pub use generator::generate;
pub use kind::Kind;
pub(crate) use shape::is_variable_name;

/// Longest value, in bytes of JSON.
pub const MAX_BYTES: usize = 64 * 1024;

/// A value in the clear. It does not show in debug output, is overwritten when it goes out of scope, and cannot be
/// serialized by accident: as part of another type it serializes to an example for the documentation. The only way
/// out is [`SecretValue::expose`].
#[derive(PartialEq)]
pub struct SecretValue(Value);

impl SecretValue {
    /// The value of this JSON.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// Reads what [`SecretValue::to_bytes`] wrote. The error does not quote the text.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }

    /// The value as JSON without spaces, keys sorted: the same for the same value.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for whatever is accepted: growing would leave copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES));
        write(&self.0, &mut out);
        out
    }

    /// The JSON; for the answers that give values out.
    pub fn expose(&self) -> &Value {
        &self.0
    }

    /// One field of the value, as a value: of a document or a set of variables, one of what is inside.
    pub fn field(&self, kind: Kind, name: &str) -> Option<Self> {
        let inside = match kind {
            Kind::Json => self.0.get("document")?,
            Kind::EnvSet => self.0.get("variables")?,
            _ => &self.0,
        };
        inside.get(name).cloned().map(Self)
    }

    /// What is wrong with the value for its kind; no message quotes it.
    pub fn faults(&self, kind: Kind, pointer: &str) -> Vec<Fault> {
        let mut faults = shape::faults(kind, &self.0, pointer);
        if self.to_bytes().len() > MAX_BYTES {
            faults.push(Fault::new(pointer, "too_large", "At most 64 KiB of JSON are accepted."));
        }
        faults
    }

    /// When the value's own time is over; certificates say so.
    pub fn expires_at(&self, kind: Kind) -> Option<coder_core::Timestamp> {
        let pem = self.0.get("certificatePem").and_then(Value::as_str).filter(|_| kind == Kind::Certificate);
        pem.and_then(certificate::not_after)
    }

    /// A new value around a generated text, with what stays the same taken from the present one; `None` for kinds
    /// whose value cannot be made up.
    pub fn around(kind: Kind, text: &str, present: Option<&Self>) -> Option<Self> {
        let value = match kind {
            Kind::Generic => json!({"value": text}),
            Kind::ApiKey => json!({"key": text}),
            Kind::UsernamePassword => json!({"username": present?.0.get("username")?, "password": text}),
            _ => return None,
        };
        Some(Self(value))
    }
}

impl Drop for SecretValue {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

/// Request bodies have to be serializable for their example; this is that example, never the value.
impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        example().serialize(serializer)
    }
}

/// Anything: the shape depends on the kind, and is checked with it so that no message quotes a value.
impl JsonSchema for SecretValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"description": "The value, in the shape of the kind; at most 64 KiB."})
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The value that documentation shows.
fn example() -> Value {
    json!({"key": "an-example-of-a-key"})
}

impl coder_middleware::Example for SecretValue {
    fn example() -> Self {
        Self(example())
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => write_object(fields, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_object(fields: &Map<String, Value>, out: &mut Vec<u8>) {
    let mut names: Vec<&String> = fields.keys().collect();
    names.sort_unstable();
    out.push(b'{');
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_scalar(name, out);
        out.push(b':');
        write(&fields[name], out);
    }
    out.push(b'}');
}

fn write_scalar<T: Serialize + ?Sized>(scalar: &T, out: &mut Vec<u8>) {
    // A scalar into memory: there is nothing that could fail.
    serde_json::to_writer(out, scalar).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Kind, MAX_BYTES, SecretValue, wipe};

    #[test]
    fn a_value_shows_nowhere() {
        let value = SecretValue::new(json!({"key": "hunter2"}));
        assert_eq!(format!("{value:?}"), "[redacted]");
        assert_eq!(format!("{:?}", Some(&value)), "Some([redacted])");
        assert!(!serde_json::to_string(&value).unwrap().contains("hunter2"));
    }

    #[test]
    fn the_bytes_are_the_same_for_the_same_value() {
        let one = SecretValue::new(
            serde_json::from_str(r#"{"b": [1, "x\n"], "a": {"d": null, "c": true}}"#).unwrap(),
        );
        let other =
            SecretValue::new(serde_json::from_str(r#"{"a":{"c":true,"d":null},"b":[1,"x\n"]}"#).unwrap());
        assert_eq!(one.to_bytes().as_slice(), br#"{"a":{"c":true,"d":null},"b":[1,"x\n"]}"#);
        assert_eq!(one.to_bytes(), other.to_bytes());
        assert_eq!(SecretValue::from_bytes(&one.to_bytes()), Some(one));
        assert_eq!(SecretValue::from_bytes(b"{"), None);
    }

    #[test]
    fn wiping_leaves_no_text() {
        let mut value = json!({"a": "text", "b": ["more", {"c": "deep"}]});
        wipe(&mut value);
        assert_eq!(value, json!({"a": "", "b": ["", {"c": ""}]}));
    }

    #[test]
    fn a_value_that_is_too_large_is_refused_without_being_quoted() {
        let value = SecretValue::new(json!({"key": "x".repeat(MAX_BYTES)}));
        let faults = value.faults(Kind::ApiKey, "/value");
        assert_eq!(faults.len(), 1);
        assert_eq!((faults[0].pointer.as_str(), faults[0].code), ("/value", "too_large"));
    }

    #[test]
    fn a_generated_text_takes_the_rest_from_the_present_value() {
        let present = SecretValue::new(json!({"username": "ada", "password": "old"}));
        let next = SecretValue::around(Kind::UsernamePassword, "new", Some(&present));
        assert_eq!(next.unwrap().expose(), &json!({"username": "ada", "password": "new"}));
        assert_eq!(SecretValue::around(Kind::UsernamePassword, "new", None), None);
        assert_eq!(SecretValue::around(Kind::ApiKey, "new", None).unwrap().expose(), &json!({"key": "new"}));
        assert_eq!(SecretValue::around(Kind::Certificate, "new", None), None);
    }

    #[test]
    fn fields_of_sets_are_their_variables() {
        let of =
            |kind, value: Value| SecretValue::new(value).field(kind, "A").map(|found| found.expose().clone());
        assert_eq!(of(Kind::EnvSet, json!({"variables": {"A": "x"}})), Some("x".into()));
        assert_eq!(of(Kind::Json, json!({"document": {"A": [1]}})), Some(json!([1])));
        assert_eq!(of(Kind::ApiKey, json!({"key": "x"})), None);
    }
}
