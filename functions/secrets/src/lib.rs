//! Keeps credentials: encrypted, versioned, shared, rotated, and every use recorded.
//!
//! Entry points: [`route_group`] for the platform, [`model`] for what is stored, [`value`] for the one type that holds
//! a value in the clear, [`keys`] for the data keys that encrypt values, [`access`] for who may do what,
//! [`reference`](mod@reference) for how other groups name a secret.

pub mod access;
pub mod catalogue;
pub mod dotenv;
pub mod events;
pub mod jobs;
pub mod keys;
pub mod model;
pub mod reference;
pub mod routes;
pub mod service;
pub mod value;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Secrets;

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new(
        "secrets",
        "Keeps credentials: encrypted, versioned, shared, rotated, and every use recorded",
    )
    .container(container())
    .permissions(catalogue::PERMISSIONS)
    .routes(routes::routes())
    .on_event("project", "coder.users.project.deleted", events::clear_project)
    .on_event("team", "coder.users.team.deleted", events::clear_team)
    .on_event("person", "coder.users.user.purged", events::clear_person)
    .on_event("membership", "coder.users.membership.removed", events::clear_member)
    .on_event("organization", "coder.users.organization.purged", events::purge_organization)
    .timer("expiry", "0 10 * * * *", jobs::expire)
    .timer("rotation", "0 */15 * * * *", jobs::rotate)
    .timer("purge", "0 30 2 * * *", jobs::purge)
    .timer("keys", "0 0 3 * * *", jobs::maintain_keys)
    .job(jobs::REENCRYPT, jobs::reencrypt)
    .service(Secrets::new)
}

/// The group's container, with an index for every field that lists sort by or jobs look for.
fn container() -> Container {
    Container::new(model::CONTAINER)
        .index(["type", "name"])
        .index(["type", "createdAt"])
        .index(["type", "updatedAt"])
        .index(["type", "expiresAt"])
        .index(["type", "at"])
        .index(["type", "purgeAt"])
        .index(["type", "overfull"])
        .index(["type", "rotationState.nextRotationAt"])
        .index(["type", "dataKeyId"])
        .index(["secretId", "version"])
        .index(["scopeId"])
        .index(["principal.id"])
}
