//! Passwords: which ones are accepted, and how they are kept (OWASP ASVS, NIST SP 800-63B-4).

mod common;
mod hasher;
mod policy;

pub use hasher::{PasswordHasher, Verdict};
pub use policy::{MAX_CHARACTERS, PasswordOwner, check, reused};

use unicode_normalization::UnicodeNormalization as _;

/// The form in which passwords are measured and hashed: NFKC, so that two keyboards give one password.
fn normalised(password: &str) -> String {
    password.nfkc().collect()
}
