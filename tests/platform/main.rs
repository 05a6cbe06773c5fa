//! Tests of the whole platform over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod control;
mod declarations;
mod exceptions;
mod forgeries;
mod operations;
mod proofs;
mod rubbish;
mod users;
