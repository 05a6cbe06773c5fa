//! The group alone on a store of its own, and on a whole platform as its callers see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod binary;
mod consumers;
mod counting;
mod declaration;
mod erasing;
mod isolation;
mod jobs;
mod metering;
mod prices;
mod quotas;
mod reservations;
mod rubbish;
mod statements;
mod world;
