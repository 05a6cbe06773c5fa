//! Who may do what: pure functions over what one organization has stored.
//!
//! [`Catalogue`] knows every permission of the platform and derives the built-in roles from it.
//! [`OrganizationSnapshot`] answers effective permissions with their sources; [`escalation`] and [`Rank`] decide
//! what a caller may give to others.

mod catalogue;
pub mod escalation;
mod rank;
mod resolve;
mod role_graph;
mod snapshot;

pub use catalogue::Catalogue;
pub use rank::Rank;
pub use resolve::{Access, Effective, EffectivePermission, Origin, Source};
pub use role_graph::{MAX_INHERITANCE, RoleGraph, RoleGraphError, RoleUse};
pub use snapshot::{OrganizationSnapshot, SnapshotParts};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
