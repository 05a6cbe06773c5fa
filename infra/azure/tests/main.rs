//! The tests of the Azure providers, on doubles.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod cosmos;
mod credential;
mod doubles;
mod key_vault;
mod redis;
mod service_bus;
