//! What the `secrets` group does over HTTP, through the gateway.

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
