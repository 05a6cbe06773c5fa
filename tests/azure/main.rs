//! The tests of the whole platform once more, on the providers of the cloud over doubles of its services: Cosmos DB's
//! emulator, the REST interface of Service Bus before the broker that the local host delivers from, a vault with real
//! keys, a real Redis server.
//!
//! The modules of `tests/platform` are compiled a second time, word for word; what they name `coder_testkit` is this
//! crate, whose platform starts on those providers. Not among them: `day`, which kills processes, and with them the
//! doubles that live in there; `audit`, which founds a company for every operation, while the emulator reads all
//! documents for every query; and, for the time that they take there, `references`, `rubbish`, `secrecy`, `tenancy` and
//! `users`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

extern crate self as coder_testkit;

mod dead_letters;
#[path = "../../infra/azure/tests/doubles/mod.rs"]
#[expect(dead_code, reason = "the tests of the providers use the rest")]
mod doubles;
mod platform;
mod services;
mod without_redis;

pub use platform::TestPlatform;
pub use testkit::{Client, Reply, Team, issuer, team};

#[path = "../platform/arranged.rs"]
mod arranged;
#[path = "../platform/audit.rs"]
mod audit;
#[path = "../platform/control.rs"]
mod control;
#[path = "../platform/correlation.rs"]
mod correlation;
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
