//! The endpoints, a module for each resource.

pub mod agents;
pub mod authorize;
pub mod grants;
pub mod internal;
pub mod invitation_answers;
pub mod invitations;
pub mod invite;
pub mod me;
pub mod members;
pub mod organizations;
pub mod people;
pub mod permissions;
pub mod project_profile;
pub mod projects;
pub mod recipients;
pub mod roles;
mod search;
pub mod team_members;
pub mod teams;

use coder_handler::Routes;

use crate::service::Users;

/// Every endpoint.
pub fn routes() -> Routes<Users> {
    let modules = [
        me::routes,
        people::routes,
        organizations::routes,
        members::routes,
        teams::routes,
        team_members::routes,
        projects::routes,
        project_profile::routes,
        roles::routes,
        permissions::routes,
        grants::routes,
        authorize::routes,
        invitations::routes,
        agents::routes,
        internal::routes,
        recipients::routes,
    ];
    let routes = modules.into_iter().fold(Routes::new("/api/users"), |routes, add| add(routes));
    // One organization is one partition, and a partition takes so many changes a second and no more.
    routes.each(|operation| operation.write_limited = operation.writes())
}
