//! What people are shown of a dead letter: all but the values under names that sound secret, and texts that look
//! like a credential.

use coder_telemetry::{REDACTED, is_sensitive, redact};
use serde_json::Value;

use super::DeadLetter;

/// The dead letter with its secrets masked.
pub fn masked(mut letter: DeadLetter) -> DeadLetter {
    for event in [&mut letter.event, &mut letter.original_event].into_iter().flatten() {
        mask(event);
    }
    letter.raw = letter.raw.map(|raw| raw_text(&raw));
    letter.last_error = letter.last_error.map(|error| redact(&error).into_owned());
    letter.description = redact(&letter.description).into_owned();
    letter
}

/// Whether a value, or one inside it, is what stands for a masked one.
pub(super) fn holds_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(REDACTED),
        Value::Array(items) => items.iter().any(holds_mask),
        Value::Object(fields) => fields.values().any(holds_mask),
        _ => false,
    }
}

/// Masks what is under names that sound secret, and texts that look like a credential.
pub fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = redact(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            for (name, value) in fields {
                // A secret's absence is no secret.
                if is_sensitive(name) && !value.is_null() {
                    *value = REDACTED.into();
                } else {
                    mask(value);
                }
            }
        }
        _ => {}
    }
}

/// Text that is nearly JSON can hold secrets that only a reader of JSON finds; it is shown as far as names with a
/// value behind them do not sound secret.
fn raw_text(raw: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(raw) {
        mask(&mut value);
        return value.to_string();
    }
    let words = raw.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'));
    if words.into_iter().any(is_sensitive) {
        return format!("{REDACTED} {} bytes that name a secret", raw.len());
    }
    redact(raw).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::Reason;
    use coder_core::Timestamp;
    use serde_json::json;

    #[test]
    fn secrets_do_not_show_wherever_they_are() {
        let event = json!({
            "id": "e", "data": {
                "title": "Milk", "apiKey": "k-1", "nested": [{"clientSecret": {"value": "s-1"}}], "token": null,
                "note": "use ck_0123456789abcdef0123 for it",
            },
        });
        let letter = DeadLetter::new("notes", Reason::Rejected, "no", Timestamp::UNIX_EPOCH)
            .with_event(event)
            .with_error("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.x was refused");
        let shown = serde_json::to_string(&masked(letter)).unwrap();
        for secret in ["k-1", "s-1", "ck_0123", "eyJ"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("Milk") && shown.contains("\"token\":null"), "{shown}");
    }

    #[test]
    fn what_cannot_be_read_is_shown_unless_it_names_a_secret() {
        let raw = |bytes: &[u8]| {
            let letter = DeadLetter::new("notes", Reason::Malformed, "no", Timestamp::UNIX_EPOCH);
            masked(letter.with_raw(bytes)).raw.unwrap()
        };
        assert_eq!(raw(b"hello {"), "hello {");
        assert_eq!(raw(b"{\"password\":\"x\"}"), "{\"password\":\"[redacted]\"}");
        assert!(!raw(b"{\"password\":\"hunter2\"").contains("hunter2"));
    }
}
