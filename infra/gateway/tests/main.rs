//! The gateway from outside: the shared table of cases, streams, cancelled calls and circuits, over sockets; and what
//! the deployment has in its place.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod cases;
mod circuit;
mod client;
mod deployment;
mod fakes;
mod privileges;
#[cfg(unix)]
mod rollout;
mod streams;
