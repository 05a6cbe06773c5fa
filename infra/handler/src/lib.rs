//! The custom-handler runtime: a declared route group becomes a server.
//!
//! A group is declared once ([`RouteGroup`]); routes, OpenAPI document, permissions, containers, function
//! folders and manifest are derived from the declaration. [`server`] speaks the contract of the Functions host.
//! It knows no group and no provider.

pub mod app;
mod cause;
pub mod crud;
pub mod endpoint;
pub mod events;
pub mod functions;
pub mod group;
pub mod health;
mod job_run;
pub mod manifest;
pub mod openapi;
pub mod operate;
pub mod peers;
pub mod routes;
pub mod serve;
pub mod server;
mod upkeep;

pub use cause::Cause;
pub use crud::{Crud, Resource};
pub use events::{ConsumerFault, ConsumerOptions, Event, Invocation, retry_stale, retry_stale_up_to};
pub use group::{Group, RouteGroup, Running};
pub use health::Health;
pub use peers::{Admission, Peer, Peers};
pub use routes::Routes;
pub use serve::serve;
