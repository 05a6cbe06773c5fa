//! The group over HTTP, on a whole platform of its own for each test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod addresses;
mod api_keys;
mod authenticator;
mod binary;
mod bootstrap;
mod checkpoints;
mod claims;
mod events;
mod external;
mod login;
mod mails;
mod mfa;
mod outage;
mod passwords;
mod policy;
mod refresh;
mod registration;
mod second_factor;
mod services;
mod sessions;
mod support;
mod tokens;
