//! Tests of the function apps as they are packaged: every handler as a process of its own, called as the Functions
//! host calls it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod apps;
mod bodies;
mod effects;
mod life;
mod work;
