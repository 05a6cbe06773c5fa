//! E-mail addresses in the one form in which they are stored and compared.

use std::fmt;

use coder_core::{Fault, text};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::digest::sha256_hex;

/// Longest address, in bytes (RFC 5321).
pub const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;
const MAX_LABEL_CHARACTERS: usize = 63;

/// A trimmed, NFC-normalised, lower-case address with a plausible local part and domain. Whether anybody reads
/// mail there only a delivered link can tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    address: String,
    at: usize,
}

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address such as `ada@example.com`")]
pub struct InvalidEmail;

impl EmailAddress {
    /// Normalises and checks an address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // Twice the limit leaves room for normalisation and keeps the work on foreign input small.
        let text = text.trim();
        if text.len() > 2 * MAX_BYTES {
            return Err(InvalidEmail);
        }
        let address: String = text.nfc().collect::<String>().to_lowercase().nfc().collect();
        let (local, domain) = address.split_once('@').ok_or(InvalidEmail)?;
        if address.len() > MAX_BYTES || !is_local_part(local) || !is_domain(domain) {
            return Err(InvalidEmail);
        }
        let at = local.len();
        Ok(Self { address, at })
    }

    /// Normalises and checks the address of a request body; a fault names the field.
    pub fn from_field(text: &str, pointer: &str) -> Result<Self, Fault> {
        Self::parse(text).map_err(|error| Fault::new(pointer, "invalid_email", format!("This is {error}.")))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        &self.address[..self.at]
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        &self.address[self.at + 1..]
    }

    /// SHA-256 of the address in hexadecimal: the key of its claim, and how events name it.
    pub fn hash(&self) -> String {
        sha256_hex(self.address.as_bytes())
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.address)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(email: EmailAddress) -> Self {
        email.address
    }
}

/// Dot-separated atoms (RFC 5322), with letters and digits of every script (RFC 6531). The quoted form is
/// refused: nobody uses it, and it hides spaces and `@`.
fn is_local_part(local: &str) -> bool {
    local.len() <= MAX_LOCAL_BYTES
        && !text::has_refused_characters(local, false)
        && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
}

fn is_atom_character(c: char) -> bool {
    c.is_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || unicode_normalization::char::is_combining_mark(c)
}

/// At least two labels, the last with a letter, so that no address literal passes.
fn is_domain(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let last_has_letter = labels.last().is_some_and(|label| label.chars().any(char::is_alphabetic));
    labels.len() >= 2 && last_has_letter && labels.into_iter().all(is_label)
}

fn is_label(label: &str) -> bool {
    let is_inner =
        |c: char| c.is_alphanumeric() || c == '-' || unicode_normalization::char::is_combining_mark(c);
    !label.is_empty()
        && label.chars().count() <= MAX_LABEL_CHARACTERS
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::{EmailAddress, InvalidEmail};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(EmailAddress::parse(text).unwrap().as_str(), expected);
    }

    #[test]
    fn normalises() {
        check("  Ada.Lovelace@Example.COM \n", "ada.lovelace@example.com");
        check("rene\u{301}@example.com", "ren\u{e9}@example.com");
        check("REN\u{c9}@example.com", "ren\u{e9}@example.com");
        check("o'brien+news@sub.example.co.uk", "o'brien+news@sub.example.co.uk");
        check("用户@例子.公司", "用户@例子.公司");
        check("x@xn--bcher-kva.example", "x@xn--bcher-kva.example");
    }

    #[test]
    fn refuses_what_is_no_address() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_label = format!("a@{}.com", "b".repeat(64));
        let long = format!("a@{}.com", vec!["b".repeat(60); 5].join("."));
        let huge = format!("{}@example.com", "a".repeat(100_000));
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "a@b@example.com",
            "ada@localhost",
            "ada@127.0.0.1",
            "ada@[127.0.0.1]",
            "ada@-example.com",
            "ada@example-.com",
            "ada@example..com",
            "ada@.com",
            "ada@example.com.",
            ".ada@example.com",
            "ada.@example.com",
            "a..b@example.com",
            "a b@example.com",
            "\"a b\"@example.com",
            "ada@exa mple.com",
            "ada\u{0}@example.com",
            "a\u{202e}da@example.com",
            "ada@exam\nple.com",
            "ada,bob@example.com",
            "<ada@example.com>",
            &long_local,
            &long_label,
            &long,
            &huge,
        ] {
            assert_eq!(EmailAddress::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn accepts_up_to_the_limit() {
        let domain = format!("{}.{}.{}.com", "b".repeat(63), "c".repeat(63), "d".repeat(57));
        let address = format!("{}@{domain}", "a".repeat(254 - 1 - domain.len()));
        assert_eq!(address.len(), 254);
        check(&address, &address);
        assert!(EmailAddress::parse(&format!("a{address}")).is_err());
    }

    #[test]
    fn has_parts_and_a_hash() {
        let email = EmailAddress::parse("Ada@Example.com").unwrap();
        assert_eq!((email.local_part(), email.domain()), ("ada", "example.com"));
        assert_eq!(email.hash(), crate::digest::sha256_hex(b"ada@example.com"));
        assert_eq!(serde_json::to_string(&email).unwrap(), "\"ada@example.com\"");
        assert!(serde_json::from_str::<EmailAddress>("\"nobody\"").is_err());
    }
}
