//! Text that people type: its stored form, the keys that make it unique, and the check of a whole resource.

mod check;
mod formats;

use coder_core::text::has_refused_characters;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

pub use check::{Check, Clean, cleaned};
pub use formats::{email, https_url, locale, time_zone};

/// The most characters of a slug.
pub const MAX_SLUG: usize = 40;

/// The stored form of a text: NFC without white space around it. `None` if it has refused characters.
pub fn normalized(text: &str, multiline: bool) -> Option<String> {
    let text: String = text.nfc().collect();
    let text = text.trim();
    (!has_refused_characters(text, multiline)).then(|| text.to_owned())
}

/// The key under which a name is unique whatever its case. Upper and then lower case folds what lower case alone
/// keeps apart, such as "ß" and "ss"; doing it by character leaves final sigmas alike.
pub fn folded(name: &str) -> String {
    name.trim().nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// A slug of `[a-z0-9]` and single hyphens made from a name, at most [`MAX_SLUG`] characters; `None` if the name
/// has nothing to make one from.
pub fn slug(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in folded(name).nfkd().filter(|c| !is_combining_mark(*c)) {
        if slug.len() == MAX_SLUG {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    (!slug.is_empty()).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::{folded, normalized, slug};

    #[test]
    fn stores_trimmed_nfc_without_refused_characters() {
        let check = |text, multiline, expected: Option<&str>| {
            assert_eq!(normalized(text, multiline).as_deref(), expected, "{text:?}");
        };
        check("  Ada  ", false, Some("Ada"));
        check("e\u{301}", false, Some("é"));
        check("   ", false, Some(""));
        check("a\nb", false, None);
        check("a\nb", true, Some("a\nb"));
        check("a\u{202E}b", true, None);
        check("a\u{0007}", true, None);
        check("名前", false, Some("名前"));
    }

    #[test]
    fn names_that_differ_in_case_or_composition_have_one_key() {
        for (one, other) in
            [("Core", "CORE"), ("Straße", "STRASSE"), ("Σίσυφος", "ΣΊΣΥΦΟΣ"), ("Zoe\u{301}", " ZOÉ ")]
        {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("core"), folded("cores"));
    }

    #[test]
    fn makes_slugs() {
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(slug(name).as_deref(), expected, "{name}");
        check("Platform Team", Some("platform-team"));
        check("  --Café & Crème!--  ", Some("cafe-creme"));
        check("Straße 7", Some("strasse-7"));
        check("名前", None);
        check(&"ab ".repeat(40), Some("ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-a"));
        check(&format!("{} b", "a".repeat(39)), Some(&"a".repeat(39)));
    }
}
