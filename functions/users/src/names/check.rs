//! The check of a whole resource: brings every text to its stored form and keeps every fault.

use std::collections::HashSet;

use coder_core::{Fault, Problem};
use serde::Serialize;

use super::{folded, formats, normalized};

/// A resource whose texts have a stored form.
pub trait Clean {
    /// Brings the texts to their stored form; what cannot be is noted.
    fn clean(&mut self, check: &mut Check);
}

/// The resource in its stored form, or `422` with every fault.
pub fn cleaned<T: Clean>(mut resource: T) -> Result<T, Problem> {
    let mut check = Check::default();
    resource.clean(&mut check);
    check.finish().map(|()| resource)
}

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Check {
    base: String,
    faults: Vec<Fault>,
}

impl Check {
    /// Notes a fault.
    pub fn fault(&mut self, pointer: &str, code: &'static str, message: impl Into<String>) {
        self.faults.push(Fault::new(format!("{}{pointer}", self.base), code, message));
    }

    /// Nothing, or `422` with every fault.
    pub fn finish(self) -> Result<(), Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }

    /// Checks a part of the resource.
    pub fn within(&mut self, pointer: &str, part: &mut impl Clean) {
        let length = self.base.len();
        self.base.push_str(pointer);
        part.clean(self);
        self.base.truncate(length);
    }

    /// A name: one line of 1 to `most` characters.
    pub fn line(&mut self, pointer: &str, text: &mut String, most: usize) {
        self.text(pointer, text, most, false);
        if text.is_empty() {
            self.fault(pointer, "too_short", "This must not be empty.");
        }
    }

    /// One line that may be left out; an empty one is.
    pub fn optional_line(&mut self, pointer: &str, text: &mut Option<String>, most: usize) {
        self.optional(text, |check, text| check.text(pointer, text, most, false));
    }

    /// Several lines that may be left out; empty ones are.
    pub fn optional_text(&mut self, pointer: &str, text: &mut Option<String>, most: usize) {
        self.optional(text, |check, text| check.text(pointer, text, most, true));
    }

    /// An `https` address.
    pub fn https_url(&mut self, pointer: &str, text: &mut String) {
        let message = "An address is needed that begins with `https://` and has no user name in it.";
        self.replace(pointer, text, formats::https_url, message);
    }

    /// An `https` address that may be left out.
    pub fn optional_https_url(&mut self, pointer: &str, text: &mut Option<String>) {
        self.optional(text, |check, text| check.https_url(pointer, text));
    }

    /// A language tag.
    pub fn locale(&mut self, pointer: &str, text: &mut String) {
        self.replace(pointer, text, formats::locale, "A language tag is needed, such as `en` or `de-AT`.");
    }

    /// A time zone.
    pub fn time_zone(&mut self, pointer: &str, text: &mut String) {
        let message = "A name of the IANA time zone database is needed, such as `Europe/Berlin`.";
        self.replace(pointer, text, |text| formats::time_zone(text).map(str::to_owned), message);
    }

    /// An e-mail address.
    pub fn email(&mut self, pointer: &str, text: &mut String) {
        self.replace(pointer, text, formats::email, "An e-mail address is needed.");
    }

    /// Items that may not be alike whatever their case; `field` is what to point at in an item, or empty.
    pub fn unique<'a>(&mut self, pointer: &str, field: &str, items: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for (index, item) in items.enumerate() {
            if !seen.insert(folded(item)) {
                let separator = if field.is_empty() { "" } else { "/" };
                let at = format!("{pointer}/{index}{separator}{field}");
                self.fault(&at, "duplicate", "This is in the list already.");
            }
        }
    }

    /// A free value that takes at most `most` bytes as JSON.
    pub fn json_size(&mut self, pointer: &str, value: &impl Serialize, most: usize) {
        let fits = serde_json::to_string(value).is_ok_and(|json| json.len() <= most);
        if !fits {
            self.fault(pointer, "too_large", format!("At most {most} bytes of JSON are accepted."));
        }
    }

    fn text(&mut self, pointer: &str, text: &mut String, most: usize, multiline: bool) {
        match normalized(text, multiline) {
            None => {
                let message =
                    "Control characters and marks that change the direction of text are not accepted.";
                self.fault(pointer, "refused_character", message);
            }
            Some(normal) if normal.chars().count() > most => {
                self.fault(pointer, "too_long", format!("At most {most} characters are accepted."));
            }
            Some(normal) => *text = normal,
        }
    }

    fn optional(&mut self, text: &mut Option<String>, check: impl FnOnce(&mut Self, &mut String)) {
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            *text = None;
        }
        if let Some(text) = text {
            check(self, text);
        }
    }

    fn replace(
        &mut self,
        pointer: &str,
        text: &mut String,
        form: impl FnOnce(&str) -> Option<String>,
        message: &str,
    ) {
        match form(text.trim()) {
            Some(normal) => *text = normal,
            None => self.fault(pointer, "invalid_format", message),
        }
    }
}
