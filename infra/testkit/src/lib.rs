//! For tests: a whole platform on a free port with its own data directory and a clock that the test moves, and
//! clients that call it over HTTP in every role.
//!
//! Entry points: [`TestPlatform::start`], [`Client`], [`Team::of`]. The contract suite of document stores is in
//! `coder_database::contract`.

#![expect(clippy::panic, clippy::missing_panics_doc, reason = "a test that cannot be set up has failed")]

mod client;
pub mod issuer;
pub mod killable;
mod platform;
mod process;
mod stream;
pub mod team;

pub use client::{Client, Reply};
pub use killable::{KillablePlatform, MovedClock};
pub use platform::{Opening, TestPlatform};
pub use process::HandlerProcess;
pub use stream::{LiveStream, SentEvent};
pub use team::Team;
