//! From the outbox to the broker: what was recorded with a change is published right after it, at least once,
//! and swept if the process died in between.
//!
//! It knows no broker: a [`Publisher`] stands for one. Entry points: [`Dispatcher`], [`Message`].

pub mod back_off;
pub mod cloud_event;
#[cfg(feature = "contract")]
pub mod contract;
pub mod dead_letter;
pub mod dispatcher;
pub mod limits;
pub mod message;
pub mod outbox;
pub mod publisher;

pub use back_off::back_off;
pub use dead_letter::{DeadLetter, DeadLetters};
pub use dispatcher::{Dispatcher, OutboxNotifier};
pub use limits::Limits;
pub use message::{Entity, Message};
pub use outbox::Outboxes;
pub use publisher::{PublishError, Publisher};
