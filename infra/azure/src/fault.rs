//! What went wrong, in one line: the SDK's errors say the cause only by their sources.

use std::error::Error;

/// Longest line, in characters: causes can hold whatever a service answered.
const LONGEST: usize = 500;

/// The error and all its causes in one line. What a cause only repeats is left out.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        next = cause.source();
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::error::{Error, ErrorKind};

    #[test]
    fn every_cause_is_told_once() {
        let error = Error::with_message(ErrorKind::Other, "refused\n  by it");
        let error = error.with_context("no answer").with_context("no answer");
        assert_eq!(chain(&error), "no answer: refused by it");
        let long = Error::with_message(ErrorKind::Other, "é".repeat(9_000));
        assert_eq!(chain(&long).chars().count(), LONGEST);
    }
}
