//! The group over HTTP, on a whole platform of its own for each test.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod alerts;
mod appending;
mod binary;
mod chain;
mod clocks;
mod exports;
mod people;
mod reading;
mod retention;
mod rules;
mod support;
