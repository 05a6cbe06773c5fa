//! How a secret gets new values.

use coder_core::Timestamp;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who makes the new value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RotationMode {
    /// Nobody is asked.
    #[default]
    None,
    /// A person is reminded.
    Reminder,
    /// The platform makes one.
    Generate,
    /// Another system is told and sets one.
    Webhook,
}

/// The characters of a generated value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// Letters and digits.
    #[default]
    Alnum,
    /// Letters, digits and marks.
    AlnumSymbols,
    /// Hexadecimal digits.
    Hex,
    /// Those of base64url.
    Base64url,
}

/// What a generated value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generator {
    /// Characters.
    #[serde(default = "default_length")]
    #[schemars(range(min = 16, max = 256))]
    pub length: u16,
    /// Which characters.
    #[serde(default)]
    pub alphabet: Alphabet,
}

fn default_length() -> u16 {
    32
}

impl Default for Generator {
    fn default() -> Self {
        Self { length: default_length(), alphabet: Alphabet::default() }
    }
}

/// What a client sets of rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// Who makes the new value.
    #[serde(default)]
    pub mode: RotationMode,
    /// Days from one rotation to the next.
    #[schemars(range(min = 1, max = 730))]
    pub interval_days: Option<u32>,
    /// Seconds for which the value before stays readable.
    #[serde(default = "default_grace")]
    #[schemars(range(min = 0, max = 2_592_000))]
    pub grace_seconds: i64,
    /// What a generated value looks like.
    #[serde(default)]
    pub generator: Generator,
    /// Who is told, over https.
    #[schemars(length(max = 2048))]
    pub webhook_url: Option<String>,
}

fn default_grace() -> i64 {
    86_400
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            mode: RotationMode::None,
            interval_days: None,
            grace_seconds: default_grace(),
            generator: Generator::default(),
            webhook_url: None,
        }
    }
}

/// How far rotation is; the server's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationState {
    /// When the value was last replaced by rotation.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_rotated_at: Option<Timestamp>,
    /// When the next is due.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_rotation_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Attempts that failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// The rotation that the receiver was told of and has yet to finish with a new version.
    pub pending: Option<String>,
}

/// Attempts after which a rotation is given up.
pub const MOST_FAILURES: u32 = 5;

/// The first pause after a failure, in minutes; each further one is twice as long.
const FIRST_PAUSE_MINUTES: i64 = 15;

/// The longest pause, in minutes.
const LONGEST_PAUSE_MINUTES: i64 = 24 * 60;

impl Rotation {
    /// When the rotation after this time is due, if there is one.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let days = self.interval_days.filter(|_| self.mode != RotationMode::None)?;
        time.saturating_add(SignedDuration::from_hours(24 * i64::from(days))).ok()
    }
}

impl RotationState {
    /// The state after a rotation went through.
    pub fn succeeded(&self, rotation: &Rotation, now: Timestamp) -> Self {
        Self { last_rotated_at: Some(now), next_rotation_at: rotation.next_after(now), ..Self::default() }
    }

    /// The state after an attempt failed: the next one follows after a pause, or never.
    pub fn failed(&self, error: &str, now: Timestamp) -> Self {
        let failures = self.failures + 1;
        let minutes = (FIRST_PAUSE_MINUTES << (failures - 1).min(16)).min(LONGEST_PAUSE_MINUTES);
        let again = now.saturating_add(SignedDuration::from_mins(minutes)).ok();
        Self {
            failures,
            last_error: Some(error.to_owned()),
            next_rotation_at: again.filter(|_| failures < MOST_FAILURES),
            pending: None,
            last_rotated_at: self.last_rotated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_each_time_and_end() {
        let now = Timestamp::UNIX_EPOCH;
        let mut state = RotationState::default();
        let mut pauses = Vec::new();
        for _ in 0..MOST_FAILURES {
            state = state.failed("refused", now);
            pauses.push(state.next_rotation_at.map(|next| next.duration_since(now).as_mins()));
        }
        assert_eq!(pauses, [Some(15), Some(30), Some(60), Some(120), None]);
        assert_eq!(state.last_error.as_deref(), Some("refused"));
        let rotation =
            Rotation { mode: RotationMode::Webhook, interval_days: Some(2), ..Rotation::default() };
        let done = state.succeeded(&rotation, now);
        assert_eq!((done.failures, done.last_error), (0, None));
        assert_eq!(done.next_rotation_at.map(|next| next.duration_since(now).as_hours()), Some(48));
    }

    #[test]
    fn nothing_is_due_without_a_mode_or_an_interval() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(Rotation { interval_days: Some(1), ..Rotation::default() }.next_after(now), None);
        assert_eq!(Rotation { mode: RotationMode::Reminder, ..Rotation::default() }.next_after(now), None);
    }
}
