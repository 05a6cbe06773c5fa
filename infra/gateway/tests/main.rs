//! The gateway from outside: the shared table of cases, streams, cancelled calls and circuits, over sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod cases;
mod circuit;
mod client;
mod fakes;
mod streams;
