//! Meters what organizations use, prices it, and holds them to quotas and budgets.
//!
//! Entry point: [`route_group`].

pub mod service;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Usage;

/// The group's container.
pub const CONTAINER: &str = "usage";

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new("usage", "Meters what organizations use, prices it, and holds them to quotas and budgets")
        .container(Container::bucketed(CONTAINER).index(["type", "createdAt"]))
        .service(Usage::new)
}
