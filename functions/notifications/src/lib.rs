//! Tells the right person, on the right channel, once.
//!
//! Entry point: [`route_group`].

pub mod service;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Notifications;

/// The group's container.
pub const CONTAINER: &str = "notifications";

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new("notifications", "Tells the right person, on the right channel, once")
        .container(Container::bucketed(CONTAINER).index(["type", "createdAt"]))
        .service(Notifications::new)
}
