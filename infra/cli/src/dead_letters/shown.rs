//! How dead letters, and what was done to them, are shown to people and to programs.

use anyhow::bail;
use coder_queue::dead_letter::{DeadLetter, masked};
use serde_json::{Value, json};

use crate::terminal;

/// For lists: without what is inside.
pub(super) fn brief(letter: DeadLetter) -> DeadLetter {
    masked(DeadLetter { event: None, original_event: None, raw: None, ..letter })
}

/// A line for each, by its id, and what can be done with them.
pub(super) fn table<'a>(found: impl ExactSizeIterator<Item = (&'a str, &'a DeadLetter)>, next: &str) {
    if found.len() == 0 {
        return terminal::line("no such dead letters");
    }
    let rows = found.map(|(id, letter)| {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        [
            id.to_owned(),
            format!("{}/{}", letter.group, text(&letter.consumer)),
            text(&letter.event_type),
            letter.reason.as_str().to_owned(),
            letter.attempts.to_string(),
            letter.state.as_str().to_owned(),
            terminal::time(letter.last_at),
        ]
    });
    terminal::table(["ID", "CONSUMER", "TYPE", "REASON", "ATTEMPTS", "STATE", "LAST"], rows);
    terminal::line("");
    terminal::line(next);
}

/// All that is known of one, whose secrets are masked already.
pub(super) fn whole(id: &str, letter: &DeadLetter) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let rows = [
        ("id", id.to_owned()),
        ("consumer", format!("{}/{}", letter.group, letter.consumer.as_deref().unwrap_or("(none)"))),
        ("reason", format!("{}: {}", letter.reason.as_str(), letter.description)),
        ("state", format!("{}, replayed {} times", letter.state.as_str(), letter.replays)),
        ("attempts", letter.attempts.to_string()),
        ("first", terminal::time(letter.first_at)),
        ("last", terminal::time(letter.last_at)),
        ("error", text(&letter.last_error)),
        ("type", text(&letter.event_type)),
        ("raw", text(&letter.raw)),
    ];
    for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        terminal::line(&format!("{name:<10}{text}"));
    }
    for (name, event) in [("event", &letter.event), ("before it was edited", &letter.original_event)] {
        if let Some(event) = event {
            terminal::line(&format!("{name}:"));
            print(event);
        }
    }
}

/// What came of a command on many.
#[derive(Debug, Default)]
pub(super) struct Report {
    done: Vec<String>,
    unchanged: Vec<String>,
    failed: Vec<(String, String)>,
    /// Open ones that cannot be replayed.
    pub(super) without_event: usize,
}

impl Report {
    /// Adds what came of one: whether anything was done, or why it could not be.
    pub(super) fn add(&mut self, id: String, outcome: Result<bool, impl ToString>) {
        match outcome {
            Ok(true) => self.done.push(id),
            Ok(false) => self.unchanged.push(id),
            Err(reason) => self.failed.push((id, reason.to_string())),
        }
    }

    /// Says what was done, and what comes next. An error if anything could not be done.
    pub(super) fn say(&self, json: bool, dry_run: bool, verb: &str, next: &str) -> anyhow::Result<()> {
        let Self { done, unchanged, failed, without_event } = self;
        if json {
            let failed: Vec<Value> =
                failed.iter().map(|(id, reason)| json!({"id": id, "reason": reason})).collect();
            print(&json!({
                verb: done, "unchanged": unchanged, "failed": failed,
                "withoutEvent": without_event, "dryRun": dry_run,
            }));
        } else {
            for (id, reason) in failed {
                terminal::line(&format!("{id}: {reason}"));
            }
            let before = match unchanged.len() {
                0 => String::new(),
                count => format!(", {count} {verb} before"),
            };
            if *without_event > 0 {
                terminal::line(&format!(
                    "{without_event} without an event were passed over: `edit` or `drop` them"
                ));
            }
            if dry_run {
                terminal::line(&format!("{} would be {verb}{before}; nothing was changed", done.len()));
            } else {
                terminal::line(&format!("{} {verb}{before}", done.len()));
            }
            if !done.is_empty() && !dry_run {
                terminal::line(next);
            }
        }
        match failed.len() {
            0 => Ok(()),
            count => bail!("{count} of {} could not be {verb}", count + done.len() + unchanged.len()),
        }
    }
}

pub(super) fn print(value: &Value) {
    terminal::line(&serde_json::to_string_pretty(value).unwrap_or_default());
}
