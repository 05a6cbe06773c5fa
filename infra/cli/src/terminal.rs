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
