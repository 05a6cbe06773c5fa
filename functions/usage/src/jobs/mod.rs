//! What runs by the clock. Every job reads what is due, takes one thing at a time, and leaves to its next run what
//! others changed meanwhile.

mod anomalies;
mod budgets;
mod close;
pub(crate) mod erase;
mod expire;
mod reconcile;
mod roll;

pub use anomalies::anomalies;
pub use budgets::budgets;
pub(crate) use budgets::{Spending, percent_spent};
pub use close::close;
pub use expire::expire;
pub use reconcile::reconcile;
pub use roll::roll;
