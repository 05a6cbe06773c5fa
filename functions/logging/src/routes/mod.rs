//! The endpoints, a module for each resource.

mod activity;
mod alert_rules;
mod alerts;
mod chain;
mod entries;
mod erasures;
mod exports;
mod internal;
mod platform;
mod retention_policies;
mod settings;
mod write;

use coder_handler::Routes;

use crate::service::Logging;

/// Every endpoint.
pub(crate) fn routes() -> Routes<Logging> {
    let modules = [
        entries::routes,
        activity::routes,
        chain::routes,
        exports::routes,
        retention_policies::routes,
        alert_rules::routes,
        alerts::routes,
        settings::routes,
        erasures::routes,
        internal::routes,
        platform::routes,
    ];
    modules.into_iter().fold(Routes::new("/api/logging"), |routes, add| add(routes))
}
