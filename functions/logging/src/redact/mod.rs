//! Hiding what must not be kept for years: before anything is hashed, secrets are replaced by `[redacted]`, by the
//! name of their key or by what they look like. Every pattern runs in time linear in the text.

mod patterns;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::draft::Draft;
use crate::model::{AuditSettings, Capture};
use patterns::{SECRETS, has_card_number};

/// What stands for a hidden value.
pub(crate) const HIDDEN: &str = "[redacted]";

/// A key that contains one of these, lower-cased and without `_` and `-`, names a secret.
const KEYS: [&str; 8] =
    ["password", "secret", "token", "apikey", "authorization", "cookie", "privatekey", "connectionstring"];

/// Memory that a pattern of an organization may take, in bytes.
const PATTERN_BYTES: usize = 256 * 1024;

/// The rules of one organization.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    capture: Capture,
    keys: Vec<String>,
    patterns: Vec<Regex>,
}

/// A pattern of an organization, compiled; the error says what is wrong with it.
pub(crate) fn compiled(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build();
    let regex = built.map_err(|error| error.to_string().lines().last().unwrap_or("no pattern").to_owned())?;
    if regex.is_match("") {
        return Err("The pattern matches nothing at all, hence everywhere.".to_owned());
    }
    Ok(regex)
}

/// A text with what looks like a secret hidden, whatever an organization adds.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut text = text.to_owned();
    Redactor::default().text(&mut text);
    text
}

/// A key without case, `_` and `-`.
fn plain(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

impl Redactor {
    /// The built-in rules and those of the settings. A stored pattern that no longer compiles is passed over.
    pub(crate) fn new(settings: &AuditSettings) -> Self {
        Self {
            capture: settings.capture,
            keys: settings.redact_keys.iter().map(|key| plain(key)).filter(|key| !key.is_empty()).collect(),
            patterns: settings.redact_patterns.iter().filter_map(|text| compiled(text).ok()).collect(),
        }
    }

    /// Hides what must not be kept of a draft: in message, changes and metadata, and of the client what the
    /// organization does not capture.
    pub(crate) fn apply(&self, draft: &mut Draft) {
        if !self.capture.ip_address {
            draft.actor.ip_address = None;
        }
        if !self.capture.user_agent {
            draft.actor.user_agent = None;
        }
        self.text(&mut draft.message);
        for change in &mut draft.changes {
            let named = change.path.split('/').any(|name| self.names_secret(name));
            for value in [&mut change.before, &mut change.after] {
                if named && !value.is_null() {
                    *value = HIDDEN.into();
                } else {
                    self.value(value);
                }
            }
        }
        for (name, value) in &mut draft.metadata {
            self.field(name, value);
        }
    }

    fn names_secret(&self, key: &str) -> bool {
        let key = plain(key);
        KEYS.iter().any(|part| key.contains(part)) || self.keys.iter().any(|part| key.contains(part.as_str()))
    }

    fn field(&self, name: &str, value: &mut Value) {
        // An absent one tells nothing.
        if self.names_secret(name) && !value.is_null() {
            *value = HIDDEN.into();
        } else {
            self.value(value);
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| self.field(name, value)),
            Value::Number(number) => {
                if has_card_number(&number.to_string()) {
                    *value = HIDDEN.into();
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&self, text: &mut String) {
        for pattern in SECRETS.iter().chain(&self.patterns) {
            if pattern.is_match(text) {
                *text = pattern.replace_all(text, HIDDEN).into_owned();
            }
        }
        patterns::hide_card_numbers(text);
    }
}

#[cfg(test)]
mod tests;
