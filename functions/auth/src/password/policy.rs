//! Which new passwords are accepted. There is no rule of composition and no expiry.

use coder_core::Fault;

use super::common::is_common;
use super::normalised;
use crate::email::EmailAddress;

/// Longest password, in code points after NFKC.
pub const MAX_CHARACTERS: usize = 128;

/// Longest text that is normalised at all: [`MAX_CHARACTERS`] of four bytes, and again as much for what NFKC
/// draws together.
pub(super) const MAX_BYTES: usize = 2 * 4 * MAX_CHARACTERS;

/// A name shorter than this says nothing: it is in many words.
const SHORTEST_NAME: usize = 3;

/// Characters that a password needs beside the names of its owner.
const FEWEST_BESIDE_NAMES: usize = 8;

/// Whose password it is to be.
#[derive(Debug, Clone, Copy)]
pub struct PasswordOwner<'a> {
    /// Their address.
    pub email: &'a EmailAddress,
    /// Their name, where it is known.
    pub display_name: Option<&'a str>,
}

/// Every rule that a new password breaks; `pointer` is the field's. Whether it was used before takes a hash:
/// see [`reused`].
pub fn check(password: &str, min_length: u32, owner: PasswordOwner<'_>, pointer: &str) -> Vec<Fault> {
    let too_long = || {
        let message = format!("The password is longer than {MAX_CHARACTERS} characters.");
        Fault::new(pointer, "too_long", message)
    };
    if password.len() > MAX_BYTES {
        return vec![too_long()];
    }
    let password = normalised(password);
    let length = password.chars().count();
    let mut faults = Vec::new();
    if length < min_length as usize {
        let message = format!("The password needs at least {min_length} characters.");
        faults.push(Fault::new(pointer, "too_short", message));
    }
    if length > MAX_CHARACTERS {
        faults.push(too_long());
    }
    if is_common(&password) {
        let message = "This is one of the most common passwords; think of another.";
        faults.push(Fault::new(pointer, "common_password", message));
    }
    if is_made_of_names(&password, owner) {
        let message = "The password is little more than your name or e-mail address; think of another.";
        faults.push(Fault::new(pointer, "contains_personal_data", message));
    }
    faults
}

/// The fault of a password that is among the last ones.
pub fn reused(pointer: &str) -> Fault {
    Fault::new(pointer, "reused_password", "This is one of your last passwords; think of another.")
}

/// Whether little is left of the password without the names of its owner.
fn is_made_of_names(password: &str, owner: PasswordOwner<'_>) -> bool {
    let mut rest = password.to_lowercase();
    let before = rest.len();
    for name in names(owner) {
        rest = rest.replace(&name, "");
    }
    rest.len() < before && rest.chars().count() < FEWEST_BESIDE_NAMES
}

/// The owner's names, whole and in pieces, longest first.
fn names(owner: PasswordOwner<'_>) -> Vec<String> {
    let display_name = owner.display_name.map(|name| normalised(name).to_lowercase()).unwrap_or_default();
    let local_part = normalised(owner.email.local_part()).to_lowercase();
    let joined: String = display_name.split_whitespace().collect();
    let pieces = display_name.split_whitespace().chain(local_part.split(|c: char| !c.is_alphanumeric()));
    let mut names: Vec<String> = pieces.map(str::to_owned).collect();
    names.extend([display_name.trim().to_owned(), joined, local_part.clone()]);
    names.retain(|name| name.chars().count() >= SHORTEST_NAME);
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::{PasswordOwner, check};
    use crate::email::EmailAddress;

    #[track_caller]
    fn faults(password: &str, expected: &[&str]) {
        let email = EmailAddress::parse("ada.lovelace+work@example.com").unwrap();
        let owner = PasswordOwner { email: &email, display_name: Some("Augusta Ada King") };
        let faults = check(password, 12, owner, "/password");
        let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, expected, "{password:?}");
        assert!(faults.iter().all(|fault| fault.pointer == "/password"));
    }

    #[test]
    fn accepts_long_phrases() {
        faults("correct horse battery staple", &[]);
        faults("ада ловлейс была первой", &[]);
        faults(&"ab-".repeat(42), &[]);
        faults("            ", &[]);
    }

    #[test]
    fn measures_code_points_after_nfkc() {
        faults("\u{fb03}\u{fb03}\u{fb03}xyz", &[]);
        faults("zyx-wvu-tsr", &["too_short"]);
        faults(&"e\u{301}".repeat(11), &["too_short"]);
        faults(&"🐙".repeat(12), &[]);
        faults(&"xy".repeat(64), &[]);
        faults(&format!("{}!", "xy".repeat(64)), &["too_long"]);
        faults(&"x".repeat(1_000_000), &["too_long"]);
    }

    #[test]
    fn refuses_common_ones_and_says_everything_at_once() {
        faults("PasswordPassword", &["common_password"]);
        faults("password", &["too_short", "common_password"]);
        faults("", &["too_short"]);
    }

    #[test]
    fn refuses_the_owners_names() {
        faults("adalovelace2026", &["contains_personal_data"]);
        faults("Ada.Lovelace+Work", &["contains_personal_data"]);
        faults("AUGUSTA-ada-KING!", &["contains_personal_data"]);
        faults("augustaadaking", &["contains_personal_data"]);
        faults("ada", &["too_short", "contains_personal_data"]);
        faults("canada goose feathers", &[]);
        faults("lovelace likes engines", &[]);
    }

    #[test]
    fn short_names_do_not_count() {
        let email = EmailAddress::parse("al@example.com").unwrap();
        let owner = PasswordOwner { email: &email, display_name: None };
        assert_eq!(check("alalalalalal", 12, owner, ""), []);
    }
}
