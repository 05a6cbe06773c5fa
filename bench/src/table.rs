//! The table that is printed, or written as JSON.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// Rows of what was measured and what came out.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

/// A row. Built up by the methods that return it.
#[derive(Debug, Default)]
pub(crate) struct Row {
    what: String,
    ours: String,
    peer: String,
    figure: Option<(f64, &'static str)>,
    aim: Option<Aim>,
}

#[derive(Debug, Clone, Copy)]
enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Table {
    /// A row of something that has no peer.
    pub(crate) fn row(&mut self, what: impl Into<String>, ours: impl Into<String>) -> &mut Row {
        self.0.push(Row { what: what.into(), ours: ours.into(), ..Row::default() });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// A row of two durations.
    pub(crate) fn latency(&mut self, what: &str, median: Duration, slowest: Duration) -> &mut Row {
        let ours = format!("{}, 99th percentile {}", milliseconds(median), milliseconds(slowest));
        self.row(what, ours).figure(median.as_secs_f64() * 1e3, " ms")
    }

    /// What could not be measured, and why.
    pub(crate) fn skipped(&mut self, what: &str, why: &str) {
        self.row(what, format!("not measured: {why}"));
    }

    /// The rows with their numbers.
    pub(crate) fn json(&self) -> String {
        let rows: Vec<Value> = self.0.iter().map(Row::json).collect();
        format!("{:#}\n", Value::from(rows))
    }
}

impl Row {
    /// What it was measured against, and what came out there.
    pub(crate) fn beside(&mut self, peer: impl Into<String>) -> &mut Self {
        self.peer = peer.into();
        self
    }

    /// The number that counts, with its unit.
    pub(crate) fn figure(&mut self, number: f64, unit: &'static str) -> &mut Self {
        self.figure = Some((number, unit));
        self
    }

    /// The figure should not be more.
    pub(crate) fn at_most(&mut self, most: f64) {
        self.aim = Some(Aim::AtMost(most));
    }

    /// The figure should not be less.
    pub(crate) fn at_least(&mut self, least: f64) {
        self.aim = Some(Aim::AtLeast(least));
    }

    fn met(&self) -> Option<bool> {
        let (number, _) = self.figure?;
        Some(match self.aim? {
            Aim::AtMost(most) => number <= most,
            Aim::AtLeast(least) => number >= least,
        })
    }

    fn json(&self) -> Value {
        let (figure, unit) = self.figure.unzip();
        let aim = self.aim.map(|aim| match aim {
            Aim::AtMost(most) => json!({"atMost": most}),
            Aim::AtLeast(least) => json!({"atLeast": least}),
        });
        let unit = unit.map(str::trim);
        json!({
            "what": self.what, "ours": self.ours, "peer": self.peer, "figure": figure, "unit": unit,
            "aim": aim, "met": self.met(),
        })
    }

    /// The cells as text, in the order of [`HEAD`].
    fn cells(&self) -> [String; 5] {
        let unit = self.figure.map_or("", |(_, unit)| unit);
        let figure = self.figure.map(|(number, unit)| format!("{}{unit}", short(number)));
        let aim = self.aim.map(|aim| match aim {
            Aim::AtMost(most) => format!("≤ {}{unit}", short(most)),
            Aim::AtLeast(least) => format!("≥ {}{unit}", short(least)),
        });
        let verdict = self.met().map_or("", |met| if met { ": met" } else { ": MISSED" });
        let aim = format!("{}{verdict}", aim.unwrap_or_default());
        [self.what.clone(), self.ours.clone(), self.peer.clone(), figure.unwrap_or_default(), aim]
    }
}

const HEAD: [&str; 5] = ["what", "ours", "peer", "figure", "aim"];

fn short(number: f64) -> String {
    match number {
        number if number >= 100.0 => format!("{number:.0}"),
        number if number >= 10.0 => format!("{number:.1}"),
        number => format!("{number:.2}"),
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

impl fmt::Display for Table {
    /// A table in Markdown.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![HEAD.map(str::to_owned)];
        lines.extend(self.0.iter().map(Row::cells));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
        let widths = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or_default());
        for (number, line) in lines.iter().enumerate() {
            for (cell, width) in line.iter().zip(widths) {
                write!(out, "| {cell:<width$} ")?;
            }
            writeln!(out, "|")?;
            if number == 0 {
                widths.iter().try_for_each(|width| write!(out, "|{}", "-".repeat(width + 2)))?;
                writeln!(out, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(figure: f64, aim: impl Fn(&mut Row)) -> Option<bool> {
        let mut table = Table::default();
        aim(table.row("what", "ours").figure(figure, " ms"));
        table.0[0].met()
    }

    #[test]
    fn an_aim_is_met_up_to_its_very_number() {
        assert_eq!(met(5.0, |row| row.at_most(5.0)), Some(true));
        assert_eq!(met(5.1, |row| row.at_most(5.0)), Some(false));
        assert_eq!(met(8.0, |row| row.at_least(8.0)), Some(true));
        assert_eq!(met(7.9, |row| row.at_least(8.0)), Some(false));
        assert_eq!(met(5.0, |_| ()), None);
    }

    #[test]
    fn the_printed_table_says_what_was_missed() {
        let mut table = Table::default();
        table.row("a hop", "33 µs").beside("nginx 25 µs").figure(1.32, " × its CPU").at_most(1.0);
        table.skipped("a start", "node is not installed");
        let printed = table.to_string();
        assert!(printed.contains("| a hop   | 33 µs"), "{printed}");
        assert!(printed.contains("| 1.32 × its CPU | ≤ 1.00 × its CPU: MISSED |"), "{printed}");
        assert!(printed.contains("not measured: node is not installed"), "{printed}");
    }
}
