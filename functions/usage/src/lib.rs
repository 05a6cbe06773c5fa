//! Meters what organizations use, prices it, and holds them to quotas and budgets.
//!
//! Entry points: [`route_group`] for the platform, [`model`] for what is stored, [`service`] for counting and limits,
//! [`rating`] for what use costs.

pub mod access;
pub mod catalogue;
pub mod decimal;
pub mod defaults;
pub mod events;
pub mod jobs;
pub mod mapping;
pub mod model;
pub mod pattern;
pub mod period;
pub mod rating;
pub mod routes;
pub mod series;
pub mod service;
pub mod totals;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Usage;

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new("usage", "Meters what organizations use, prices it, and holds them to quotas and budgets")
        .container(container())
        .permissions(catalogue::PERMISSIONS)
        .routes(routes::routes())
        .on_event("completion", "coder.ai.completion.*", events::meter)
        .on_event("agent-run", "coder.ai.agent-run.completed", events::meter)
        .on_event("vectors", "coder.embeddings.vectors.generated", events::meter)
        .on_event("search", "coder.embeddings.search.executed", events::meter)
        .on_event("execution", "coder.mcp.execution.*", events::meter)
        .on_event("storage", "coder.knowledge.storage.measured", events::meter)
        .on_event("run", "coder.execution.run.completed", events::meter)
        .on_event("session", "coder.collaboration.session.ended", events::meter)
        .on_event("membership", "coder.users.membership.removed", events::end_membership)
        .on_event("team", "coder.users.team.deleted", events::end_scope)
        .on_event("project", "coder.users.project.deleted", events::end_scope)
        .on_event("purge-user", "coder.users.user.purged", events::purge_user)
        .on_event("purge-organization", "coder.users.organization.purged", events::purge_organization)
        .timer("expire", "0 * * * * *", jobs::expire)
        .timer("roll", "0 5 * * * *", jobs::roll)
        .timer("budgets", "0 */15 * * * *", jobs::budgets)
        .timer("anomalies", "0 30 1 * * *", jobs::anomalies)
        .timer("reconcile", "0 45 2 * * *", jobs::reconcile)
        // A month is final from the third day on; the days after it are for what was away then.
        .timer("close", "0 0 2 1-5 * *", jobs::close)
        .service(Usage::new)
}

/// The group's container, with an index for every field that lists sort by or jobs look for.
fn container() -> Container {
    Container::bucketed(model::CONTAINER)
        .index(["type", "createdAt"])
        .index(["type", "name"])
        .index(["type", "expiresAt"])
        .index(["type", "occurredAt"])
        .index(["type", "effectiveFrom"])
        .index(["series", "start"])
        .index(["subject.userId"])
        .index(["userId"])
}
