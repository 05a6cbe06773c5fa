//! The local gateway: one address in front of all route groups. It plays the part that API Management has in
//! the cloud, and both follow the same [`RouteTable`] and the same cases (`cases.json`).
//!
//! Two parts, because authentication and caller limits stand between them:
//! - [`EdgeLayer`], outermost of all: refuses requests that could be read in two ways, drops
//!   forged headers, answers preflights, and puts the last hand on every answer;
//! - [`Gateway`], innermost: finds the group, guards its circuit, limits and times the call, passes streams.
//!
//! What this crate does not do: listening (`coder_handler::serve`), tokens, rate limits, request
//! ids, metrics. Those are layers of the request chain.

mod answer;
mod body;
mod breaker;
mod cors;
mod edge;
mod forwarded;
mod gateway;
mod hygiene;
mod path;
mod table;
mod upstream;

pub use breaker::CircuitState;
pub use edge::{Edge, EdgeLayer, EdgeOptions};
pub use gateway::Gateway;
pub use table::{Group, RouteTable};
pub use upstream::{Address, AddressError, Upstream};
