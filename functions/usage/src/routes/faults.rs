//! Faults that no schema can state, gathered so that all are told at once.

use coder_core::text::has_refused_characters;
use coder_core::{Fault, Problem};

use crate::model::{Dimensions, QuotaScope};

/// The longest key and value of a dimension, in characters.
const MAX_KEY: usize = 40;
const MAX_VALUE: usize = 100;

/// Gathers faults.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault unless it `holds`.
    pub(super) fn unless(&mut self, holds: bool, pointer: &str, code: &'static str, message: &str) {
        if !holds {
            self.0.push(Fault::new(pointer, code, message));
        }
    }

    /// A name: not blank, without characters that deceive.
    pub(super) fn name(&mut self, pointer: &str, name: &str) {
        self.unless(!name.trim().is_empty(), pointer, "too_short", "This must not be empty.");
        let plain = !has_refused_characters(name, false);
        self.unless(plain, pointer, "refused_character", "Control characters are not accepted.");
    }

    /// Keys and values of dimensions.
    pub(super) fn dimensions(&mut self, pointer: &str, dimensions: &Dimensions) {
        let message = "Keys have 1 to 40 characters, values up to 100.";
        self.unless(are_dimensions(dimensions), pointer, "too_long", message);
    }

    /// A scope and its id.
    pub(super) fn scope(&mut self, scope: QuotaScope, id: Option<&str>) {
        let needed = matches!(scope, QuotaScope::Team | QuotaScope::Project | QuotaScope::User);
        self.unless(!needed || id.is_some(), "/scopeId", "required", "This scope needs an id.");
        self.unless(needed || id.is_none(), "/scopeId", "not_allowed", "This scope has no id.");
        let read = id.is_none_or(|id| coder_core::id::parse(id).is_ok());
        self.unless(read, "/scopeId", "invalid_format", "An id is a UUID in lower case.");
    }

    /// The faults as a problem, if there are any.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }
}

/// Whether keys and values are short enough to be dimensions.
pub(super) fn are_dimensions(dimensions: &Dimensions) -> bool {
    let fits = |(key, value): (&String, &String)| {
        (1..=MAX_KEY).contains(&key.chars().count()) && value.chars().count() <= MAX_VALUE
    };
    dimensions.len() <= crate::model::MAX_DIMENSIONS && dimensions.iter().all(fits)
}
