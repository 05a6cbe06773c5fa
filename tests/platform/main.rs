//! Tests of the whole platform over HTTP.

mod declarations;
mod exceptions;
mod forgeries;
mod operations;
mod proofs;
mod rubbish;
