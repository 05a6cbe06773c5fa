//! What people see. The one place of the platform that writes to the terminal.

use std::io::Write as _;

/// A line on standard output. A reader that went away is no fault.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// An error on standard error: what went wrong, and what to do, in one sentence.
pub(crate) fn error(error: &anyhow::Error) {
    writeln!(std::io::stderr(), "error: {error:#}").ok();
}

/// Something to know, on standard error.
pub(crate) fn note(text: &str) {
    writeln!(std::io::stderr(), "note: {text}").ok();
}

/// Columns under their headers, two spaces apart; line breaks in a cell become spaces.
pub(crate) fn table<const N: usize>(headers: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let cell = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let headers = headers.map(str::to_owned);
    let rows: Vec<[String; N]> =
        std::iter::once(headers).chain(rows.into_iter().map(|row| row.map(cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(text, width)| format!("{text:<width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A time to the second, in UTC.
pub(crate) fn time(time: coder_core::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
