//! What makes an event one that consumers can be given: the attributes of CloudEvents 1.0 that the platform relies
//! on, and how patterns choose among event types.

use coder_core::{Fault, OrganizationId, Timestamp};
use serde_json::Value;

/// Longest text of an attribute, in characters.
const LONGEST: usize = 256;

/// The extension that says how often operators had the event delivered again; absent means never.
pub const REPLAY: &str = "replay";

/// Everything that is wrong with an event; empty if consumers can be given it.
pub fn faults(event: &Value) -> Vec<Fault> {
    if !event.is_object() {
        return vec![Fault::new("", "wrong_type", "An event is a JSON object.")];
    }
    let mut faults = Vec::new();
    for name in ["specversion", "id", "type", "source", "subject", "time", "organizationid"] {
        let pointer = format!("/{name}");
        match event.get(name) {
            None => faults.push(Fault::new(pointer, "required", "The attribute is missing.")),
            Some(Value::String(text)) => {
                if let Some((code, message)) = fault_of(name, text) {
                    faults.push(Fault::new(pointer, code, message));
                }
            }
            Some(_) => faults.push(Fault::new(pointer, "wrong_type", "The attribute is no text.")),
        }
    }
    faults
}

/// The faults as one line for people.
pub fn sentence(faults: &[Fault]) -> String {
    let texts = faults.iter().map(|fault| match fault.pointer.trim_start_matches('/') {
        "" => fault.message.clone(),
        name => format!("`{name}`: {}", fault.message),
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn fault_of(name: &str, text: &str) -> Option<(&'static str, String)> {
    if text.is_empty() {
        return Some(("too_short", "The attribute is empty.".into()));
    }
    if text.chars().count() > LONGEST {
        return Some(("too_long", format!("The attribute has more than {LONGEST} characters.")));
    }
    if text.chars().any(char::is_control) {
        return Some(("refused_character", "The attribute has a control character.".into()));
    }
    match name {
        "specversion" if text != "1.0" => Some(("invalid_value", "Only version 1.0 is understood.".into())),
        "time" if !is_rfc_3339(text) || text.parse::<Timestamp>().is_err() => {
            Some(("invalid_format", "The attribute is no RFC 3339 time.".into()))
        }
        "organizationid" if text != "platform" && text.parse::<OrganizationId>().is_err() => {
            Some(("invalid_format", "The attribute is no organization, nor `platform`.".into()))
        }
        _ => None,
    }
}

/// Whether a text has the form of RFC 3339, section 5.6. The parser of times takes further ones, such as a space for the
/// `T` or a zone in brackets, which other readers of the event refuse.
fn is_rfc_3339(text: &str) -> bool {
    let like = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                b'+' => matches!(byte, b'+' | b'-'),
                _ => byte.eq_ignore_ascii_case(&wanted),
            })
    };
    let Some((time, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let fraction = rest.len() - zone.len();
    like(time, "0000-00-00T00:00:00") && fraction != 1 && (like(zone, "Z") || like(zone, "+00:00"))
}

/// Whether a pattern covers an event type: segments are equal or `*`; a last `*` covers all that follow.
pub fn matches(pattern: &str, kind: &str) -> bool {
    let mut wanted = pattern.split('.').peekable();
    let mut given = kind.split('.');
    while let Some(segment) = wanted.next() {
        let Some(name) = given.next() else { return false };
        if segment == "*" && wanted.peek().is_none() {
            return true;
        }
        if segment != "*" && segment != name {
            return false;
        }
    }
    given.next().is_none()
}

/// How often operators had this event delivered again.
pub fn replays(event: &Value) -> u32 {
    event[REPLAY].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "specversion": "1.0", "id": "e-1", "type": "coder.users.team.created", "source": "/functions/users",
            "subject": "t-1", "time": "2026-01-05T12:00:00Z", "organizationid": "platform",
        })
    }

    #[test]
    fn every_fault_of_an_event_is_named_at_once() {
        assert_eq!(faults(&good()), []);
        let bad = json!({
            "specversion": "0.3", "id": "", "type": 7, "source": "a\nb", "time": "yesterday",
            "organizationid": "acme", "data": {},
        });
        let found = faults(&bad);
        let places: Vec<&str> = found.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(
            places,
            ["/specversion", "/id", "/type", "/source", "/subject", "/time", "/organizationid"]
        );
        assert!(sentence(&found).contains("`subject`: The attribute is missing."));
        assert_eq!(sentence(&faults(&json!([1]))), "An event is a JSON object.");
        let mut long = good();
        long["id"] = json!("é".repeat(257));
        assert_eq!(faults(&long)[0].code, "too_long");
    }

    #[test]
    fn a_time_has_the_one_form_that_everybody_reads() {
        let fits = |time: &str| {
            let mut event = good();
            event["time"] = json!(time);
            faults(&event).is_empty()
        };
        for time in ["2026-01-05T12:00:00Z", "2026-01-05t12:00:00.25z", "2026-01-05T12:00:00.1-02:30"] {
            assert!(fits(time), "{time}");
        }
        for time in [
            "2026-01-05 12:00:00Z",
            "20260105T120000Z",
            "2026-01-05T12:00Z",
            "2026-01-05T12:00:00",
            "2026-01-05T12:00:00.Z",
            "2026-01-05T12:00:00+01",
            "2026-01-05T12:00:00+01:00[Europe/Berlin]",
            "2026-13-05T12:00:00Z",
            "é026-01-05T12:00:00Z",
        ] {
            assert!(!fits(time), "{time}");
        }
    }

    #[test]
    fn patterns_match_by_segment() {
        assert!(matches("coder.users.membership.removed", "coder.users.membership.removed"));
        assert!(matches("coder.*", "coder.users.membership.removed"));
        assert!(matches("coder.*.user.purged", "coder.users.user.purged"));
        assert!(!matches("coder.users.membership.removed", "coder.users.membership.removed.twice"));
        assert!(!matches("coder.users.*", "coder.users"));
        assert!(!matches("coder.user.*", "coder.users.user.purged"));
    }

    #[test]
    fn an_event_that_was_never_replayed_says_so() {
        let mut event = good();
        assert_eq!(replays(&event), 0);
        event[REPLAY] = json!(2);
        assert_eq!(replays(&event), 2);
    }
}
