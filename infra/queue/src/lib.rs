//! From the outbox to the consumers: what was recorded with a change is published soon after, at least once,
//! and swept if the process died in between.
//!
//! It knows no broker: a [`Publisher`] stands for one. Entry point: [`Dispatcher`].

pub mod dispatcher;
pub mod publisher;

pub use dispatcher::{Dispatcher, OutboxNotifier};
pub use publisher::{Publication, Publisher};
