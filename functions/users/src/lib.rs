//! People, organizations, teams, projects, and who may do what. This group owns the permission model that every
//! other group enforces; credentials and sessions are another group's.
//!
//! Entry points: [`route_group`] for the platform, [`model`] for what is stored,
//! [`permissions::OrganizationSnapshot`] for effective permissions, [`rules`] for what the states and limits allow,
//! [`names`] for text that people type, [`service`] for the steps that endpoints and jobs share.

pub mod catalogue;
pub mod events;
mod identity;
mod invite;
pub mod jobs;
pub mod model;
pub mod names;
pub mod permissions;
pub mod routes;
pub mod rules;
pub mod seed;
pub mod service;
pub mod tree;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Users;

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new("users", "People, organizations, teams, projects, and who may do what")
        .container(container())
        .permissions(catalogue::PERMISSIONS)
        .routes(routes::routes())
        .on_event("login", "coder.auth.login.succeeded", events::note_login)
        .on_event("identity", "coder.auth.identity.*", events::mirror_email)
        .on_event("membership", "coder.users.membership.*", events::mirror_membership)
        .on_event("person", "coder.users.user.*", events::settle_person)
        .on_event("send-invitation", "coder.users.invitation.sent", events::send_invitation)
        .on_event("clear-team", "coder.users.team.deleted", events::clear_team)
        .on_event("clear-project", "coder.users.project.deleted", events::clear_project)
        .on_event("purge-organization", "coder.users.organization.purged", events::purge_organization)
        .timer("expire", "0 */10 * * * *", jobs::expire)
        .timer("purge", "0 0 3 * * *", jobs::purge)
        .timer("repair", "0 30 3 * * *", jobs::repair)
        .service(Users::new)
}

/// The group's container, with an index for every field that lists sort by or jobs look for.
fn container() -> Container {
    Container::new(model::CONTAINER)
        .index(["type", "name"])
        .index(["type", "createdAt"])
        .index(["type", "updatedAt"])
        .index(["type", "joinedAt"])
        .index(["type", "expiresAt"])
        .index(["type", "deleteAfter"])
        .index(["type", "email"])
        .index(["type", "person.foldedName"])
        .index(["userId"])
}
