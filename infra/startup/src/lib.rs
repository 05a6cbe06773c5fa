//! Where providers meet groups: opens what the settings name, gives every group its runtime, and starts it, alone
//! in a handler binary or with others in the platform process.
//!
//! Entry points: [`Providers::open`], [`Assembly::start`], and [`handler::main`] for the one-line `main.rs` of a
//! route group.

pub mod assembly;
#[cfg(feature = "azure")]
pub mod azure;
mod catalogue;
pub mod directory;
mod embedded;
pub mod handler;
pub mod outbox;
pub mod providers;
pub mod relay;
mod shared_permissions;

pub use assembly::Assembly;
pub use providers::{Local, Providers, StartError};
