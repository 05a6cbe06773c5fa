//! The tamper-evident record of who did what.
//!
//! Entry point: [`route_group`].

pub mod service;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Logging;

/// The group's container.
pub const CONTAINER: &str = "logging";

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new("logging", "The tamper-evident record of who did what")
        .container(Container::bucketed(CONTAINER).index(["type", "createdAt"]))
        .service(Logging::new)
}
