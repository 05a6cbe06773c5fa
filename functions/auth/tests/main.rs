//! The group over HTTP, on a whole platform of its own for each test.

mod addresses;
mod api_keys;
mod authenticator;
mod bootstrap;
mod login;
mod mfa;
mod passwords;
mod policy;
mod refresh;
mod registration;
mod second_factor;
mod services;
mod sessions;
mod support;
mod tokens;
