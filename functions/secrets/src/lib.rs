//! Keeps credentials: encrypted, versioned, shared, rotated, and every use recorded.
//!
//! Entry point: [`route_group`].

pub mod service;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Secrets;

/// The group's container.
pub const CONTAINER: &str = "secrets";

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new(
        "secrets",
        "Keeps credentials: encrypted, versioned, shared, rotated, and every use recorded",
    )
    .container(Container::new(CONTAINER).index(["type", "createdAt"]))
    .service(Secrets::new)
}
