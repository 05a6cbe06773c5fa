//! The declaration of the group.

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::Auth;
use crate::catalogue::PERMISSIONS;
use crate::model::CONTAINER;
use crate::{events, jobs, routes};

/// The group `auth`.
pub fn route_group() -> Group {
    let container = Container::new(CONTAINER)
        .index(["type", "createdAt"])
        .index(["type", "expiresAt"])
        .index(["type", "idleExpiresAt"])
        .index(["type", "lastUsedAt"]);
    let group = RouteGroup::new(
        "auth",
        "Who the caller is: credentials, sessions, tokens, API keys, external login.",
    )
    .container(container)
    .permissions(PERMISSIONS)
    .routes(routes::all());
    jobs::declare(events::declare(group)).service(Auth::new)
}
