//! What the `secrets` group does over HTTP, through the gateway.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod acceptance;
mod access;
mod events;
mod harness;
mod importing;
mod keys;
mod leaks;
mod lifecycle;
mod outage;
mod resolving;
mod rotation;
mod validation;
