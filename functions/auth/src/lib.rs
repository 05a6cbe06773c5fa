//! Who the caller is: credentials, sessions, tokens, API keys and external login. Authentication only; what a
//! caller may do, and every profile field, belongs to the users group.
//!
//! The rules are pure functions over the documents in [`model`], so that each can be read and tested alone;
//! time and randomness come from `coder_core::Ambient`. Only [`outbound`] reaches other machines.

pub mod api_key;
mod digest;
pub mod email;
pub mod model;
pub mod oidc;
pub mod one_time_token;
pub mod outbound;
pub mod password;
pub mod recovery_code;
pub mod refresh;
pub mod session;
pub mod throttle;
pub mod token;
pub mod totp;
