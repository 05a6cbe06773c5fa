//! The endpoints, a module for each resource.

pub mod alerts;
pub mod budgets;
pub mod categories;
pub mod check;
pub mod counters;
pub mod estimate;
pub mod events;
mod faults;
pub mod prices;
pub mod query;
pub mod quotas;
pub mod reservations;
pub mod statements;
pub mod summary;
pub mod written;

use coder_handler::Routes;

use crate::service::Usage;

/// Every endpoint.
pub fn routes() -> Routes<Usage> {
    let modules = [
        events::routes,
        query::routes,
        summary::routes,
        counters::routes,
        categories::routes,
        quotas::routes,
        check::routes,
        reservations::routes,
        budgets::routes,
        alerts::routes,
        prices::routes,
        estimate::routes,
        statements::routes,
    ];
    modules.into_iter().fold(Routes::new("/api/usage"), |routes, add| add(routes))
}
