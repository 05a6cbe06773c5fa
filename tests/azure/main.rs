//! The tests of the whole platform once more, on the providers of the cloud over doubles of its services: Cosmos DB's
//! emulator, the REST interface of Service Bus before the broker that the local host delivers from, a vault with real
//! keys, a real Redis server.
//!
//! The modules of `tests/platform` are compiled a second time, word for word; what they name `coder_testkit` is this
//! crate, whose platform starts on those providers. Not among them: `audit`, which founds a company for each of a
//! hundred operations, and `rubbish`, which sends thousands of requests, while the emulator looks through every document
//! of a container for many a query; `day`, which kills processes, and with them the doubles that live in there; and
//! `declarations` and `documents`, which start no platform.
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
#[expect(dead_code, reason = "the tests that are left out use the rest")]
mod operations;
#[path = "../platform/operators.rs"]
mod operators;
#[path = "../platform/proofs.rs"]
mod proofs;
#[path = "../platform/references.rs"]
mod references;
#[path = "../platform/secrecy.rs"]
mod secrecy;
#[path = "../platform/story.rs"]
mod story;
#[path = "../platform/tenancy.rs"]
mod tenancy;
#[path = "../platform/users.rs"]
mod users;
