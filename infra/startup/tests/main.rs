//! What every route group gets for nothing, shown on a small one: the conventions of the API.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod alone;
mod choice;
mod conventions;
mod host;
mod hosts;
mod jobs;
mod notes;
mod operations;
mod timers;
