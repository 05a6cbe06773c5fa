//! The log of the whole run: one JSON object for each line, whatever strangers write into names, paths and headers.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_telemetry::Format;
use serde_json::Value;

/// Keeps every log line of this process.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log, from the first call on.
pub(crate) fn kept() -> &'static Lines {
    static KEPT: OnceLock<Lines> = OnceLock::new();
    KEPT.get_or_init(|| {
        let lines = Lines::default();
        let ambient = Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy);
        let writer = lines.clone();
        coder_telemetry::init(Format::Json, "debug", ambient, move || writer.clone()).unwrap();
        lines
    })
}

impl Lines {
    pub(crate) fn text(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

/// What a reader of the log would be misled by.
pub(crate) fn faults(log: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let shown = String::from_utf8_lossy(line);
        match serde_json::from_slice::<Value>(line) {
            Ok(Value::Object(event)) if event.contains_key("forged") => {
                faults.push(format!("somebody else's line: {shown}"));
            }
            Ok(Value::Object(_)) => {}
            _ => faults.push(format!("no JSON object: {shown}")),
        }
        // A terminal acts on what JSON lets stand: escape sequences by a single character, and changes of direction.
        let acts = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if shown.contains(acts) {
            faults.push(format!("a control character: {}", shown.escape_debug()));
        }
    }
    faults
}

#[test]
fn a_misleading_log_is_noticed() {
    assert_eq!(faults(b"{\"level\":\"INFO\"}\n{\"level\":\"WARN\"}\n"), Vec::<String>::new());
    for bad in [
        &b"{\"name\":\"Eve\n{\"level\":\"INFO\"}\n"[..],
        b"{\"level\":\"INFO\"}\n{\"forged\":true}\n",
        b"{\"name\":\"\x1b[2J\"}\n",
        "{\"name\":\"\u{9b}2J\"}\n".as_bytes(),
        "{\"name\":\"\u{202e}\"}\n".as_bytes(),
        b"plain\n",
    ] {
        assert!(!faults(bad).is_empty(), "{}", String::from_utf8_lossy(bad));
    }
}
