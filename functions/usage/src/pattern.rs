//! Category codes, and the patterns over them that quotas, budgets and queries have.

/// A category code.
pub const CODE: &str = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}$";
/// A code, `<code>.*`, or `*`.
pub const PATTERN: &str = r"^(\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}(\.\*)?)$";
/// A metric's key; `cost` is a word of quotas and no key.
pub const METRIC: &str = "^[a-z][A-Za-z0-9]{0,39}$";
/// A currency of ISO 4217.
pub const CURRENCY: &str = "^[A-Z]{3}$";

/// Whether the pattern covers the code: the same, below it for `ai.*`, every one for `*`.
pub fn covers(pattern: &str, code: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => code.starts_with(head) && code.len() > head.len(),
        None => pattern == code,
    }
}

/// Whether the text is a category code of at most 64 characters.
pub fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.len() <= 64 && text.split('.').count() <= 4 && text.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::{covers, is_code};

    #[test]
    fn patterns_cover_what_is_below_them() {
        for (pattern, code, expected) in [
            ("*", "ai", true),
            ("ai.*", "ai.completion", true),
            ("ai.*", "ai.completion.batch", true),
            ("ai.*", "ai", false),
            ("ai.*", "aid.completion", false),
            ("ai.completion", "ai.completion", true),
            ("ai.completion", "ai.completion.batch", false),
        ] {
            assert_eq!(covers(pattern, code), expected, "{pattern} ~ {code}");
        }
    }

    #[test]
    fn codes_are_words_with_points() {
        for code in ["ai", "ai.completion", "a1_b.c.d.e"] {
            assert!(is_code(code), "{code}");
        }
        for text in ["", "Ai", "ai.", ".ai", "ai..b", "1a", "a.b.c.d.e", "ai.*", &"a".repeat(65)] {
            assert!(!is_code(text), "{text}");
        }
    }
}
