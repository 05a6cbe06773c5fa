use std::borrow::Cow;

use super::{escape_controls, is_sensitive, redact};

#[test]
fn secret_fields_are_known_by_name() {
    for name in [
        "password",
        "newPassword",
        "client_secret",
        "access-token",
        "X-API-Key",
        "apiKey",
        "Authorization",
        "set-cookie",
        "PRIVATE_KEY",
        "connectionString",
        "refreshToken",
        "__p-a-s-s-w-o-r-d",
    ] {
        assert!(is_sensitive(name), "{name}");
    }
    for name in ["", "user_id", "message", "key", "pass", "author", "status"] {
        assert!(!is_sensitive(name), "{name}");
    }
}

#[test]
fn secrets_in_text_are_masked() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_";
    let key = "ck_0123456789ab_AbCdEfGhIjKlMnOpQrStUvWxYz";
    let refresh = "rt_AbCdEfGhIjKlMnOpQrStUvWxYz-_012345";
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----";
    let cases = [
        (format!("got {jwt}"), "got [redacted]"),
        (format!("Bearer {jwt}."), "Bearer [redacted]."),
        (format!("\"{jwt}\",\"{key}\""), "\"[redacted]\",\"[redacted]\""),
        (format!("?access={jwt}&x=1"), "?access=[redacted]&x=1"),
        ("unsigned eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.".to_owned(), "unsigned [redacted]."),
        ("encrypted eyJhbGciOiJkaXIifQ..aXY.dGV4dA.dGFn!".to_owned(), "encrypted [redacted]!"),
        (format!("key={key}; {refresh}"), "key=[redacted]; [redacted]"),
        (format!("é{key}é"), "é[redacted]é"),
        (format!("x_{key}"), "x_[redacted]"),
        (format!("before {pem} after {pem}"), "before [redacted] after [redacted]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQ and no end".to_owned(), "[redacted]"),
        ("-----BEGIN KEY-----\nMIIEvQ\n-----END ".to_owned(), "[redacted]"),
    ];
    for (text, expected) in cases {
        assert_eq!(redact(&text), expected, "{text}");
    }
}

#[test]
fn other_text_is_left_alone() {
    for text in [
        "",
        "plain",
        "track_events_of_everybody_here",
        "start_the_long_running_job",
        "ck_short",
        "rt_timeout",
        "eyJ",
        "eyJust a word",
        "heyJhbGciOiJSUzI1NiJ9.x",
        "-----BEGIN",
        "sum. eyJx. end",
    ] {
        assert_eq!(redact(text), text);
    }
    assert!(matches!(redact("plain"), Cow::Borrowed(_)));
}

#[test]
fn hostile_text_costs_no_more_than_its_length() {
    let text = "eyJ-".repeat(250_000);
    assert_eq!(redact(&text), text);
    assert_eq!(redact(&format!("{text}ck_{}", "x".repeat(1_000_000))), format!("{text}[redacted]"));
}

#[test]
fn controls_become_escapes_that_json_reads() {
    let hostile = "a\r\nb\tc\u{1b}[31m\u{7f}\u{9b}\u{2028}\u{202e}d";
    let escaped = escape_controls(hostile);
    assert_eq!(escaped, r"a\u000d\u000ab\u0009c\u001b[31m\u007f\u009b\u2028\u202ed");
    let read: String = serde_json::from_str(&format!("\"{escaped}\"")).unwrap();
    assert_eq!(read, hostile);
    assert!(matches!(escape_controls("größe 🦀"), Cow::Borrowed(_)));
}
