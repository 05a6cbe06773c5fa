//! The platform process: all route groups, the gateway in front of them, and a local Functions host that
//! delivers events and runs timers. What `cargo run` starts.
//!
//! Entry point: [`Platform::start`].

mod denials;
pub mod documentation;
pub mod groups;
mod host;
pub mod platform;
pub mod timers;

pub use groups::route_groups;
pub use platform::{Options, Platform};
