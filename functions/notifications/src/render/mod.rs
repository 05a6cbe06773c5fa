//! Rendering of templates: text with `{{path}}`, `{{date path}}`, `{{number path}}`, `{{#if path}}` and
//! `{{#each list}}`, nothing else.
//!
//! It is an engine of our own, since organizations write templates and none of the known libraries gives all that
//! this needs: `handlebars`, whose notation this is, knows raw output in four forms, partials and decorators, all
//! of which would have to be forbidden after parsing, and has no bound on its work; `minijinja` has one, but
//! another notation, and names what is missing only while it renders. Here raw output cannot be written, work and
//! output are counted, and [`unknown`] finds every name that the data lacks, in branches not taken too.

mod check;
mod format;
mod parse;
mod write;

pub use check::{Unknown, unknown};
pub use format::Region;
pub use parse::{SyntaxError, Template};
pub(crate) use write::escape_html;
pub use write::{Form, RenderError, render};

/// Largest output, in bytes.
pub const MAX_OUTPUT: usize = 200 * 1024;

/// Most steps of one rendering; a step is a piece of text or a value, and takes well below a microsecond.
pub const MAX_STEPS: usize = 20_000;

/// Where names are looked up: the items of the loops around, innermost last, and the data at the bottom.
struct Scope<'a>(Vec<&'a serde_json::Value>);

impl<'a> Scope<'a> {
    fn new(data: &'a serde_json::Value) -> Self {
        Self(vec![data])
    }

    /// The value at a path. `this` is the item of the innermost loop. A name belongs to the innermost item that
    /// has it.
    fn find(&self, path: &parse::Path) -> Option<&'a serde_json::Value> {
        let (first, rest) = path.segments.split_first()?;
        let start = if first == "this" {
            self.0.last().copied()
        } else {
            self.0.iter().rev().find_map(|value| child(value, first))
        };
        rest.iter().try_fold(start?, |value, name| child(value, name))
    }
}

fn child<'a>(value: &'a serde_json::Value, name: &str) -> Option<&'a serde_json::Value> {
    match value {
        serde_json::Value::Object(fields) => fields.get(name),
        serde_json::Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Whether `{{#if}}` takes the branch: there, and neither false, zero nor empty.
fn truthy(value: Option<&serde_json::Value>) -> bool {
    use serde_json::Value;
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(_)) => true,
    }
}

#[cfg(test)]
mod tests;
