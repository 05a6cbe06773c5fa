//! Who the caller is: credentials, sessions, tokens, API keys and external login. Authentication only; what a
//! caller may do, and every profile field, belongs to the users group.
//!
//! The rules are pure functions over the documents in [`model`], so that each can be read and tested alone;
//! time and randomness come from `coder_core::Ambient`. [`service`] applies them to the store, `routes` speak
//! HTTP. Entry points: [`route_group`] and [`Auth`].

pub mod api_key;
pub mod catalogue;
mod digest;
pub mod email;
mod events;
mod group;
mod jobs;
pub mod model;
pub mod oidc;
pub mod one_time_token;
pub mod password;
mod recent;
pub mod recovery_code;
pub mod refresh;
mod routes;
pub mod service;
pub mod session;
pub mod throttle;
pub mod token;
pub mod totp;

pub use group::route_group;
pub use service::Auth;
