//! Access tokens: the keys that sign them, how these change, and what a token says.

mod access;
pub(crate) mod jws;
mod rotation;
mod signing_key;
#[cfg(test)]
pub(crate) mod test_keys;

pub use access::{AccessTokenIssuer, Grant, IssuedToken, LIFETIME_SECONDS};
pub use rotation::{ACTIVE_SECONDS, PUBLISHED_BEFORE_SECONDS, RETIRING_SECONDS, Step, due};
pub use signing_key::{GeneratedKey, KeyFault, KeySigner};
