//! What the `notifications` group does over HTTP, through the gateway.

mod mail;
mod messages;
mod preferences;
mod providers;
mod servers;
mod stream;
mod support;
mod templates;
mod webhooks;
