//! Log lines, for people or for machines. Every line goes through redaction here; there is no other way out.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use coder_core::Ambient;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::redaction::{REDACTED, escape_controls, is_sensitive, redact};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-01-31T09:30:00Z  INFO coder_gateway: message field=value`
    Text,
    /// `{"timestamp": …, "level": …, "target": …, "message": …, "spans": […], "fields": {…}}`
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is no list of directives.
    #[error("`{0}` is no log level; use `info` or `info,coder_gateway=debug`, for example")]
    Level(String),
    /// Logging was started before.
    #[error("logging was started before")]
    Started,
}

/// Starts logging for the whole process. `level` is a list such as `info,coder_gateway=debug`; each line goes
/// to the writer in one write.
pub fn init<W>(format: Format, level: &str, ambient: Ambient, writer: W) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing::subscriber::set_global_default(subscriber(format, level, ambient, writer)?)
        .map_err(|_| LogError::Started)
}

/// What [`init`] starts, for a test to use in its own thread.
pub fn subscriber<W>(
    format: Format,
    level: &str,
    ambient: Ambient,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets: Targets = level.parse().map_err(|_| LogError::Level(level.to_owned()))?;
    Ok(tracing_subscriber::registry().with(Lines { format, ambient, writer }.with_filter(targets)))
}

struct Lines<W> {
    format: Format,
    ambient: Ambient,
    writer: W,
}

/// The fields of a span or event, redacted.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        let mut spans = Vec::new();
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            spans.push(span.name());
            if let Some(known) = span.extensions().get::<Fields>() {
                fields.others.extend(known.others.clone());
            }
        }
        event.record(&mut fields);
        let line = match self.format {
            Format::Text => self.text(event, &fields),
            Format::Json => self.json(event, fields, &spans),
        };
        let line = format!("{}\n", escape_controls(&line));
        // There is nowhere left to tell that the log cannot be written.
        self.writer.make_writer_for(event.metadata()).write_all(line.as_bytes()).ok();
    }
}

impl<W> Lines<W> {
    fn text(&self, event: &Event<'_>, fields: &Fields) -> String {
        let meta = event.metadata();
        let mut line =
            format!("{} {:>5} {}: {}", self.ambient.now(), meta.level(), meta.target(), fields.message);
        for (name, value) in &fields.others {
            let shown = match value {
                // Bare words stay bare; anything else is quoted, so that no value looks like another field.
                Value::String(text) if is_bare(text) => text.clone(),
                other => other.to_string(),
            };
            write!(line, " {name}={shown}").ok();
        }
        line
    }

    fn json(&self, event: &Event<'_>, fields: Fields, spans: &[&str]) -> String {
        let meta = event.metadata();
        serde_json::json!({
            "timestamp": self.ambient.now().to_string(),
            "level": meta.level().as_str(),
            "target": meta.target(),
            "message": fields.message,
            "spans": spans,
            "fields": fields.others,
        })
        .to_string()
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'))
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let value = if is_sensitive(field.name()) { Value::from(REDACTED) } else { value };
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let value = redact(value);
        if field.name() == "message" {
            self.message = value.into_owned();
        } else {
            self.put(field, value.into());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            write!(text, ": {cause}").ok();
            source = cause.source();
        }
        self.record_str(field, &text);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests;
