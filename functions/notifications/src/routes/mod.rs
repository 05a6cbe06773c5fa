//! The endpoints, a module for each resource.

pub mod dnd;
pub mod inbox;
pub mod internal;
pub mod messages;
pub mod outbox;
pub mod preferences;
pub mod providers;
pub mod resolved;
pub mod stream;
pub mod templates;
pub mod unsubscribe;
pub mod webhook_deliveries;
pub mod webhooks;

use coder_handler::Routes;

use crate::service::Notifications;

/// Every endpoint.
pub fn routes() -> Routes<Notifications> {
    let modules = [
        inbox::routes,
        stream::routes,
        messages::routes,
        internal::routes,
        preferences::routes,
        resolved::routes,
        dnd::routes,
        templates::routes,
        outbox::routes,
        providers::routes,
        webhooks::routes,
        webhook_deliveries::routes,
        unsubscribe::routes,
    ];
    modules.into_iter().fold(Routes::new("/api/notifications"), |routes, add| add(routes))
}
