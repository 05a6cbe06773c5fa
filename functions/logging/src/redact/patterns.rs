//! What secrets look like: tokens, keys and payment card numbers.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::HIDDEN;

/// JWTs, PEM blocks, platform keys and refresh tokens.
pub(super) static SECRETS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*",
        r"(?s)-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|$)",
        r"\b(?:ck|rt)_[A-Za-z0-9_-]{8,}",
    ];
    // Constants that compile, which the tests show.
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// UUIDs, which are no secret though their digits may look like a card's; and runs of 13 digits and more, with single
/// spaces or hyphens between groups.
static DIGITS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let uuid = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
    Regex::new(&format!("(?P<uuid>{uuid})|[0-9](?:[ -]?[0-9]){{12,}}")).ok()
});

/// Whether the text has a payment card number.
pub(super) fn has_card_number(text: &str) -> bool {
    DIGITS.as_ref().is_some_and(|digits| digits.captures_iter(text).any(|run| is_card(&run)))
}

/// Hides payment card numbers.
pub(super) fn hide_card_numbers(text: &mut String) {
    let Some(digits) = DIGITS.as_ref().filter(|_| has_card_number(text)) else { return };
    let hidden = digits.replace_all(
        text,
        |run: &Captures<'_>| {
            if is_card(run) { HIDDEN.to_owned() } else { run[0].to_owned() }
        },
    );
    *text = hidden.into_owned();
}

/// 13 to 19 digits whose check digit is right (ISO/IEC 7812, Luhn), not all the same.
fn is_card(run: &Captures<'_>) -> bool {
    if run.name("uuid").is_some() {
        return false;
    }
    let digits: Vec<u32> = run[0].chars().filter_map(|c| c.to_digit(10)).collect();
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { *digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    (13..=19).contains(&digits.len()) && varied && sum.is_multiple_of(10)
}
