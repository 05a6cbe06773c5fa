//! The functions of groups as a host calls them, and what operators do with dead letters, on the embedded store.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod consume;
mod contract;
mod dead_letters;
mod jobs;
mod shop;
