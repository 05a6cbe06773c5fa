//! From a template's tree and data to text, with every value escaped and the work counted.

use serde_json::Value;

use super::format::Region;
use super::parse::{Node, Show};
use super::{MAX_OUTPUT, MAX_STEPS, Scope, Template, truthy};

/// What a date or a number costs more than a plain value: the words of its language are looked up.
const LOCALIZED_STEPS: usize = 100;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Plain text; control characters but line breaks and tabs are left out.
    Text,
    /// Plain text of one line.
    Line,
    /// HTML; values are escaped for text and for quoted attributes.
    Html,
}

/// Why nothing was rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// More than [`MAX_OUTPUT`] bytes.
    #[error("the result is larger than {} KiB", MAX_OUTPUT / 1024)]
    TooLarge,
    /// More than [`MAX_STEPS`] steps.
    #[error("the template repeats too much: more than {MAX_STEPS} steps")]
    TooMuchWork,
}

/// Renders a template. What the data lacks is left out.
pub fn render(template: &Template, data: &Value, region: &Region, form: Form) -> Result<String, RenderError> {
    let mut writer = Writer { out: String::new(), steps: 0, region, form };
    writer.nodes(&template.nodes, &mut Scope::new(data))?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: String,
    steps: usize,
    region: &'a Region,
    form: Form,
}

impl Writer<'_> {
    fn nodes(&mut self, nodes: &[Node], scope: &mut Scope<'_>) -> Result<(), RenderError> {
        for node in nodes {
            self.spend(1)?;
            match node {
                Node::Text(text) => self.literal(text)?,
                Node::Value(show, path) => {
                    if let Some(value) = scope.find(path) {
                        self.value(*show, value)?;
                    }
                }
                Node::If { condition, then, otherwise } => {
                    let branch = if truthy(scope.find(condition)) { then } else { otherwise };
                    self.nodes(branch, scope)?;
                }
                Node::Each { list, body, otherwise } => match scope.find(list) {
                    Some(Value::Array(items)) if !items.is_empty() => {
                        for item in items {
                            self.spend(1)?;
                            scope.0.push(item);
                            let done = self.nodes(body, scope);
                            scope.0.pop();
                            done?;
                        }
                    }
                    _ => self.nodes(otherwise, scope)?,
                },
            }
        }
        Ok(())
    }

    fn value(&mut self, show: Show, value: &Value) -> Result<(), RenderError> {
        match (show, value) {
            (_, Value::Null | Value::Array(_) | Value::Object(_)) => Ok(()),
            (Show::Date, Value::String(text)) => {
                self.spend(LOCALIZED_STEPS)?;
                let date = self.region.date(text);
                self.escaped(date.as_deref().unwrap_or(text))
            }
            (Show::Number, Value::Number(number)) => {
                self.spend(LOCALIZED_STEPS)?;
                let text = self.region.number(number);
                self.escaped(&text)
            }
            (_, Value::String(text)) => self.escaped(text),
            (_, other) => self.escaped(&other.to_string()),
        }
    }

    /// A piece of the template itself.
    fn literal(&mut self, text: &str) -> Result<(), RenderError> {
        match self.form {
            Form::Html => self.push(text),
            Form::Text | Form::Line => self.escaped(text),
        }
    }

    fn escaped(&mut self, text: &str) -> Result<(), RenderError> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(RenderError::TooLarge);
        }
        for c in text.chars() {
            match (self.form, c) {
                (Form::Html, _) => escape_char(c, &mut self.out),
                (Form::Text, '\n' | '\t') => self.out.push(c),
                (Form::Line, '\r' | '\n' | '\t') => self.out.push(' '),
                _ if c.is_control() => {}
                _ => self.out.push(c),
            }
        }
        self.push("")
    }

    fn push(&mut self, text: &str) -> Result<(), RenderError> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(RenderError::TooLarge);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn spend(&mut self, steps: usize) -> Result<(), RenderError> {
        self.steps += steps;
        if self.steps > MAX_STEPS { Err(RenderError::TooMuchWork) } else { Ok(()) }
    }
}

/// Writes a character so that it means itself in HTML text and in attributes, quoted or not.
fn escape_char(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '`' => out.push_str("&#96;"),
        '=' => out.push_str("&#61;"),
        '\n' | '\t' => out.push(c),
        _ if c.is_control() => {}
        _ => out.push(c),
    }
}

/// Text as HTML that shows it.
pub(crate) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| escape_char(c, &mut out));
    out
}
