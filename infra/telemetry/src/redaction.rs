//! Secrets are taken out before a line is written: by the name of the field, and by the look of the text.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// A field is secret if its name, in lower case and without `_` and `-`, contains one of these.
const SENSITIVE: [&str; 8] =
    ["password", "secret", "token", "apikey", "authorization", "cookie", "privatekey", "connectionstring"];

/// Keys of the platform: API keys and refresh tokens. Shorter words that begin so are names.
const KEY_PREFIXES: [&str; 2] = ["ck_", "rt_"];
const MIN_KEY_CHARACTERS: usize = 16;

/// A JWT begins with a JSON object in base64url, and that with `{"`.
const JWT_PREFIX: &str = "eyJ";
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";

/// Whether a field of this name is secret, whatever its value.
pub fn is_sensitive(field: &str) -> bool {
    let name: String =
        field.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    SENSITIVE.iter().any(|part| name.contains(part))
}

/// The text with everything masked that looks like a JWT, a PEM block, an API key or a refresh token.
pub fn redact(text: &str) -> Cow<'_, str> {
    let suspicious = [JWT_PREFIX, PEM_BEGIN].iter().chain(&KEY_PREFIXES).any(|prefix| text.contains(prefix));
    if !suspicious {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    // A word that was found to be no JWT is not searched for one again, or hostile text would cost its square.
    let mut no_jwt_before = 0;
    while let Some(next) = rest.chars().next() {
        let at = text.len() - rest.len();
        // Secrets are looked for where a word begins: `track_event` holds no `ck_…`.
        let begins_word = !text[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
        let mut secret = None;
        if begins_word && rest.starts_with(JWT_PREFIX) && at >= no_jwt_before {
            secret = jwt_length(rest);
            no_jwt_before = at + word_length(rest);
        } else if begins_word {
            secret = pem_length(rest).or_else(|| key_length(rest));
        }
        if let Some(length) = secret {
            clean.push_str(REDACTED);
            rest = &rest[length..];
        } else {
            clean.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    Cow::Owned(clean)
}

/// The length of a key that the text begins with, in bytes; as below.
fn key_length(text: &str) -> Option<usize> {
    let key = KEY_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let length = word_length(key);
    (length >= MIN_KEY_CHARACTERS).then(|| text.len() - key.len() + length)
}

/// Up to the end of the closing line; a block that was cut is masked whole.
fn pem_length(text: &str) -> Option<usize> {
    if !text.starts_with(PEM_BEGIN) {
        return None;
    }
    let closing = text.find(PEM_END).map(|at| at + PEM_END.len());
    let end = closing.and_then(|from| Some(from + text[from..].find("-----")? + "-----".len()));
    end.or(Some(text.len()))
}

/// Everything up to the end of the word; at least a header and something after it. A full stop at the end is
/// the sentence's.
fn jwt_length(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
    let token = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    token.contains('.').then_some(token.len())
}

/// How many bytes at the beginning of the text are base64url.
fn word_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count()
}

/// The text with control characters, line separators and bidirectional overrides as `\uXXXX`, so that a value can
/// neither begin a line of its own nor reach the terminal. JSON reads it as the same text.
pub(crate) fn escape_controls(text: &str) -> Cow<'_, str> {
    let refused = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(refused) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if refused(c) {
            write!(escaped, "\\u{:04x}", u32::from(c)).ok();
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests;
