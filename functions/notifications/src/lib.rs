//! Tells the right person, on the right channel, once.
//!
//! An event or a request becomes a message ([`accept`], by the table of [`topics`]); the [`pipeline`] expands its
//! recipients, resolves preferences ([`resolve`], [`plan`]) and writes for each person an inbox item and deliveries;
//! mail goes to the [`outbox`]. Entry point: [`route_group`].

pub mod accept;
mod away;
pub mod catalogue;
pub mod deliver;
pub mod directory;
pub mod events;
pub mod gather;
pub mod inbox;
pub mod jobs;
pub mod limits;
pub mod model;
pub mod outbox;
pub mod pipeline;
pub mod plan;
mod preferences;
pub mod providers;
pub mod quiet;
pub mod render;
pub mod resolve;
pub mod routes;
pub mod sensitive;
pub mod service;
pub mod stream;
pub mod templates;
pub mod topics;
pub mod unsubscribe;
pub mod webhooks;

use coder_database::Container;
use coder_handler::{Group, RouteGroup};

use crate::service::Notifications;

/// The group's container.
pub const CONTAINER: &str = "notifications";

/// The group's declaration.
pub fn route_group() -> Group {
    RouteGroup::new("notifications", "Tells the right person, on the right channel, once")
        .container(container())
        .permissions(catalogue::PERMISSIONS)
        .routes(routes::routes())
        .on_event("notify", "coder.*", events::notify)
        .on_event("tell", "coder.notifications.message.accepted", events::tell)
        .on_event("webhooks", "coder.notifications.message.accepted", webhooks::announce)
        .on_event("address", "coder.auth.identity.email-changed", outbox::send::lift_suppressions)
        .on_event("membership", "coder.users.membership.removed", events::cancel_pending)
        .on_event("forget-address", "coder.users.user.purged", outbox::send::lift_suppressions)
        .on_event("purge-person", "coder.users.user.purged", events::purge_person)
        .on_event("purge-organization", "coder.users.organization.purged", events::purge_organization)
        .on_event("clear-project", "coder.users.project.deleted", events::clear_project)
        .timer("due", "*/15 * * * * *", jobs::due)
        .timer("hourly-digests", "0 0 * * * *", jobs::hourly_digests)
        .timer("daily-digests", "0 */15 * * * *", jobs::daily_digests)
        .timer("provider-health", "0 */5 * * * *", providers::check_health)
        .job(sensitive::FORGET, sensitive::forget)
        .job(outbox::DELIVER, outbox::send::deliver)
        .job(webhooks::WEBHOOK, webhooks::deliver)
        .job(gather::DIGEST, gather::send_digest)
        .service(Notifications::new)
}

/// The group's container, with an index for every field that lists sort by or jobs look for.
fn container() -> Container {
    Container::bucketed(CONTAINER)
        .index(["type", "createdAt"])
        .index(["type", "seq"])
        .index(["type", "revision"])
        .index(["type", "groupKey"])
        .index(["type", "messageId"])
        .index(["type", "scheduledFor"])
        .index(["type", "snoozedUntil"])
        .index(["type", "nextAttemptAt"])
        .index(["type", "priority"])
        .index(["type", "name"])
        .index(["type", "failures"])
        .index(["type", "userId"])
        .index(["bucket"])
}
