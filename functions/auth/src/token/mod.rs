//! Access tokens: the keys that sign them, how these change, and what a token says.

mod access;
mod rotation;
mod signing_key;

pub use access::{AUDIENCE, AccessTokenIssuer, Claims, Grant, IssuedToken, LIFETIME_SECONDS, TYPE};
pub use rotation::{ACTIVE_SECONDS, PUBLISHED_BEFORE_SECONDS, RETIRING_SECONDS, Step, due};
pub use signing_key::{GeneratedKey, KeyFault, KeySigner};
