//! Tests of the whole platform over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arranged;
mod audit;
mod control;
mod correlation;
mod day;
mod declarations;
mod documents;
mod exceptions;
mod forgeries;
mod jobs;
mod limits;
mod mailbox;
mod operations;
mod operators;
mod proofs;
mod references;
mod rubbish;
mod secrecy;
mod story;
mod tenancy;
mod users;

/// The program that the tests kill.
const KILLABLE: &str = env!("CARGO_BIN_EXE_killable-platform");
