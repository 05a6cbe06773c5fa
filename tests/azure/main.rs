//! The tests of the whole platform once more, on the providers of the cloud over doubles of its services: Cosmos DB's
//! emulator, the REST interface of Service Bus before the broker that the local host delivers from, a vault with real
//! keys, a real Redis server.
//!
//! The modules of `tests/platform` are compiled a second time, word for word; what they name `coder_testkit` is this
//! crate, whose platform starts on those providers. Not among them: `declarations` and `documents`, which start no
//! platform.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on has failed"
)]

extern crate self as coder_testkit;

mod dead_letters;
#[path = "../../infra/azure/tests/doubles/mod.rs"]
#[expect(dead_code, reason = "the tests of the providers use the rest")]
mod doubles;
pub mod killable;
mod platform;
mod services;
mod without_redis;

pub use killable::KillablePlatform;
pub use platform::TestPlatform;
pub use testkit::{Client, LiveStream, MovedClock, Reply, SentEvent, Team, issuer, team};

/// No program of its own is killed; `killable` says what is.
const KILLABLE: &str = "";

#[path = "../platform/arranged.rs"]
mod arranged;
#[path = "../platform/audit.rs"]
mod audit;
#[path = "../platform/control.rs"]
mod control;
#[path = "../platform/correlation.rs"]
mod correlation;
#[path = "../platform/day/mod.rs"]
mod day;
#[path = "../platform/exceptions.rs"]
mod exceptions;
#[path = "../platform/forgeries.rs"]
mod forgeries;
#[path = "../platform/jobs.rs"]
mod jobs;
#[path = "../platform/limits.rs"]
mod limits;
#[path = "../platform/mailbox.rs"]
mod mailbox;
#[path = "../platform/operations.rs"]
mod operations;
#[path = "../platform/operators.rs"]
mod operators;
#[path = "../platform/proofs.rs"]
mod proofs;
#[path = "../platform/references.rs"]
mod references;
#[path = "../platform/rubbish.rs"]
mod rubbish;
#[path = "../platform/secrecy.rs"]
mod secrecy;
#[path = "../platform/story.rs"]
mod story;
#[path = "../platform/tenancy.rs"]
mod tenancy;
#[path = "../platform/users.rs"]
mod users;
