//! The table of what is hidden and what is not.

use serde_json::{Value, json};

use super::patterns::SECRETS;
use super::{HIDDEN, Redactor, compiled};
use crate::draft::Draft;
use crate::model::{AuditSettings, Capture, EntryChange};

fn redacted(metadata: Value) -> Value {
    let mut draft = Draft { metadata: metadata.as_object().unwrap().clone(), ..Draft::example() };
    Redactor::default().apply(&mut draft);
    draft.metadata.into()
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(SECRETS.len(), 3);
    assert!(super::patterns::has_card_number("4111111111111111"));
}

#[test]
fn keys_that_name_secrets_hide_their_values() {
    for key in [
        "password",
        "newPassword",
        "client_secret",
        "refreshToken",
        "api_key",
        "API-KEY",
        "x-api-key",
        "Authorization",
        "set-cookie",
        "private_key",
        "connectionString",
        "tokens",
    ] {
        assert_eq!(redacted(json!({key: "value"})), json!({key: HIDDEN}), "{key}");
        assert_eq!(redacted(json!({"deep": [{key: {"a": 1}}]})), json!({"deep": [{key: HIDDEN}]}), "{key}");
    }
    let kept = json!({"name": "value", "key": "ENG", "count": 3, "secret": null, "passed": true});
    assert_eq!(redacted(kept.clone()), kept);
}

#[test]
fn values_that_look_like_secrets_are_hidden() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIE\nvQ==\n-----END PRIVATE KEY-----";
    for secret in [
        jwt,
        pem,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "ck_0123456789abcdef_c2VjcmV0",
        "rt_0123456789abcdef",
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
        "6304000000000000000",
    ] {
        assert_eq!(redacted(json!({"a": secret})), json!({"a": HIDDEN}), "{secret}");
        let inside = format!("before {secret} ");
        let shown = redacted(json!({"a": inside}))["a"].as_str().unwrap().to_owned();
        assert!(shown.starts_with("before [redacted]") && !shown.contains(secret), "{shown}");
    }
    assert_eq!(redacted(json!({"a": 4_111_111_111_111_111_u64})), json!({"a": HIDDEN}));
    for kept in [
        "4111111111111112",
        "123456789012",
        "0000000000000000",
        "41111111111111111111",
        "eyJ.a.b",
        "truck_driver",
        "0190a0c0-0000-7000-8000-000000000000",
        "2026-01-05T12:01:00.123Z",
        "art_of_war",
    ] {
        assert_eq!(redacted(json!({"a": kept})), json!({"a": kept}));
    }
}

#[test]
fn changes_and_messages_are_covered() {
    let change = |path: &str, before: &str| EntryChange {
        path: path.to_owned(),
        before: json!(before),
        after: Value::Null,
    };
    let mut draft = Draft {
        message: "used ck_0123456789abcdef_c2VjcmV0 today".to_owned(),
        changes: vec![
            change("/clientSecret", "x"),
            change("/name", "4111111111111111"),
            change("/key", "ENG"),
        ],
        ..Draft::example()
    };
    Redactor::default().apply(&mut draft);
    assert_eq!(draft.message, "used [redacted] today");
    let before: Vec<_> = draft.changes.iter().map(|change| change.before.clone()).collect();
    assert_eq!(before, [json!(HIDDEN), json!(HIDDEN), json!("ENG")]);
    assert_eq!(draft.changes[0].after, Value::Null);
}

#[test]
fn an_organization_adds_keys_and_patterns_and_captures_less() {
    let settings = AuditSettings {
        capture: Capture { ip_address: false, user_agent: false, reads: false },
        redact_keys: vec!["I-BAN".to_owned()],
        redact_patterns: vec!["EMP[0-9]+".to_owned(), "(".to_owned()],
        legal_hold: None,
    };
    let mut draft = Draft::example();
    draft.metadata = json!({"customer_iban": "DE00", "note": "EMP77 left"}).as_object().unwrap().clone();
    draft.actor.ip_address = Some("192.0.2.7".to_owned());
    draft.actor.user_agent = Some("curl".to_owned());
    Redactor::new(&settings).apply(&mut draft);
    assert_eq!(Value::from(draft.metadata), json!({"customer_iban": HIDDEN, "note": "[redacted] left"}));
    assert_eq!((draft.actor.ip_address, draft.actor.user_agent), (None, None));
}

#[test]
fn patterns_that_would_cost_too_much_are_refused() {
    assert!(compiled("[a-z]{1,20}@acme").is_ok());
    for pattern in ["(", "a*", "(?:a{1,1000}){1,1000}", r"(a)\1", "(?=a)b"] {
        assert!(compiled(pattern).is_err(), "{pattern}");
    }
}
