//! The tamper-evident record of who did what: every event of the platform and every custom entry becomes a link in
//! its organization's hash chain.
//!
//! Entry points: [`route_group`] for the platform, [`chain`] for how entries are hashed and verified (also by an
//! auditor's tool), the module `mapping` for how events become entries, [`service::append`] for how they get their number.

pub mod catalogue;
pub mod chain;
mod draft;
mod events;
mod jobs;
mod mapping;
pub mod model;
mod redact;
mod routes;
pub mod service;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::model::CONTAINER;
use crate::service::Logging;

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new("logging", "The tamper-evident record of who did what")
        .container(container())
        .permissions(catalogue::PERMISSIONS)
        .routes(routes::routes())
        .on_event("record", "coder.*", events::record)
        .on_event("erase-person", "coder.users.user.purged", events::erase_person)
        .on_event("purge-organization", "coder.users.organization.purged", events::purge_organization)
        .timer("evaluate-alerts", "0 * * * * *", jobs::evaluate_alerts)
        .timer("checkpoint", "0 5 * * * *", jobs::checkpoint)
        .timer("retain", "0 0 2 * * *", jobs::retain)
        .timer("verify", "0 0 4 * * *", jobs::verify_daily)
        .timer("drop-exports", "0 30 4 * * *", jobs::drop_exports)
        .job("export", jobs::export)
        .job("verify", jobs::verify)
        .job("erase", jobs::erase)
        .job("purge", jobs::purge)
        .job("ingest-replay", jobs::ingest_replay)
        .service(Logging::new)
}

/// The group's container, with an index for every field that lists sort by or jobs look for.
fn container() -> Container {
    Container::bucketed(CONTAINER)
        .index(["type", "seq"])
        .index(["type", "month"])
        .index(["type", "createdAt"])
        .index(["type", "updatedAt"])
        .index(["type", "toSeq"])
        .index(["type", "name"])
        .index(["resourceId", "seq"])
        .index(["actor.id", "seq"])
}
