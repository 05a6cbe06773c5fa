//! The table that is printed.

use std::fmt;
use std::time::Duration;

/// Rows of what was measured and what came out.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(String, String)>);

impl Table {
    /// Adds a row.
    pub(crate) fn row(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.0.push((what.into(), value.into()));
    }

    /// Adds a row of two durations.
    pub(crate) fn latency(&mut self, what: &str, median: Duration, slowest: Duration) {
        self.row(what, format!("median {}, 99th percentile {}", milliseconds(median), milliseconds(slowest)));
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
        self.0.iter().try_for_each(|(what, value)| writeln!(out, "{what:<width$}  {value}"))
    }
}
