//! What the `notifications` group does over HTTP, through the gateway.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mail;
mod messages;
mod preferences;
mod providers;
mod sensitive;
mod servers;
mod stream;
mod support;
mod templates;
mod topics;
mod webhooks;
