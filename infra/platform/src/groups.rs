//! Every route group of the platform: one line each.

use coder_handler::Group;

/// The groups, by name.
pub fn route_groups() -> Vec<Group> {
    vec![
        coder_auth::route_group(),
        coder_users::route_group(),
        coder_logging::route_group(),
        coder_notifications::route_group(),
        coder_secrets::route_group(),
        coder_usage::route_group(),
    ]
}
