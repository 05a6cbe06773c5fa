use std::io;
use std::sync::{Arc, Mutex};

use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::{Format, LogError, subscriber};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Memory {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What `work` logs.
fn logged(format: Format, level: &str, work: impl FnOnce()) -> String {
    let memory = Memory::default();
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let ambient = Ambient::new(clock, OsEntropy);
    tracing::subscriber::with_default(subscriber(format, level, ambient, memory.clone()).unwrap(), work);
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn text_is_for_people() {
    let line = logged(Format::Text, "info", || {
        let span = tracing::info_span!("request", request_id = "r1");
        let _entered = span.enter();
        tracing::warn!(target: "coder_test", status = 404, path = "/a b", empty = "", ok = true, "not {}", "found");
    });
    assert_eq!(
        line,
        "1970-01-01T00:00:00Z  WARN coder_test: not found request_id=r1 status=404 path=\"/a b\" empty=\"\" ok=true\n"
    );
}

#[test]
fn json_is_for_machines() {
    let line = logged(Format::Json, "info", || {
        let outer = tracing::info_span!("request", request_id = "r1", user = tracing::field::Empty);
        let _entered = outer.enter();
        outer.record("user", "u1");
        let inner = tracing::info_span!("store", request_id = "r2");
        let _inner = inner.enter();
        tracing::error!(target: "coder_test", count = 3_u64, ratio = 0.5, level = "mine", "gone");
    });
    let line: Value = serde_json::from_str(&line).unwrap();
    let expected = serde_json::json!({
        "timestamp": "1970-01-01T00:00:00Z", "level": "ERROR", "target": "coder_test", "message": "gone",
        "spans": ["request", "store"],
        "fields": {"request_id": "r2", "user": "u1", "count": 3, "ratio": 0.5, "level": "mine"},
    });
    assert_eq!(line, expected);
}

#[test]
fn secrets_do_not_get_out() {
    for format in [Format::Text, Format::Json] {
        let line = logged(format, "trace", || {
            let span = tracing::info_span!(
                "request",
                authorization = "hidden-1",
                late_token = tracing::field::Empty
            );
            let _entered = span.enter();
            span.record("late_token", "hidden-2");
            let cause = io::Error::other("refused rt_hidden3AbCdEfGhIjKl");
            tracing::info!(
                newPassword = "hidden-4",
                api_key = 12_345_678,
                header = ?("X-API-Key", "ck_hidden5_AbCdEfGhIjKlMn"),
                error = &cause as &(dyn std::error::Error + 'static),
                "token eyJhidden6.eyJhidden7.x and ck_hidden8_AbCdEfGhIjKlMn",
            );
        });
        assert!(!line.contains("hidden") && !line.contains("12345678"), "{line}");
        assert_eq!(line.matches("[redacted]").count(), 8, "{line}");
    }
}

#[test]
fn a_value_cannot_begin_a_line_or_look_like_a_field() {
    let work = || {
        let name = "x\n1970-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{2028} admin=true";
        tracing::info!(name, display = %name, "hello {name}");
    };
    let text = logged(Format::Text, "info", work);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(!text.contains(['\u{1b}', '\u{2028}']), "{text}");
    assert!(text.contains(r#"name="x\n1970"#), "{text}");

    let json = logged(Format::Json, "info", work);
    assert_eq!(json.matches('\n').count(), 1, "{json}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["fields"]["name"].as_str().unwrap().starts_with("x\n1970"));
}

#[test]
fn errors_are_told_with_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("the store failed")]
    struct Outer(#[source] io::Error);

    let line = logged(Format::Json, "info", || {
        let error = Outer(io::Error::other("disk full"));
        tracing::error!(error = &error as &(dyn std::error::Error + 'static), "stopped");
    });
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["fields"]["error"], "the store failed: disk full");
}

#[test]
fn the_level_decides_by_target() {
    let lines = logged(Format::Text, "warn,coder_loud=debug", || {
        tracing::debug!(target: "coder_loud", "one");
        tracing::info!(target: "coder_quiet", "two");
        tracing::warn!(target: "coder_quiet", "three");
    });
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("one") && lines.contains("three"));
}

#[test]
fn a_level_that_is_none_is_refused() {
    let result = subscriber(Format::Text, "coder=loud", Ambient::system(), Memory::default());
    assert!(matches!(result.err(), Some(LogError::Level(level)) if level == "coder=loud"));
}
