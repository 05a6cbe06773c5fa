//! People, organizations, teams, projects, and who may do what. This group owns the permission model that every
//! other group enforces; credentials and sessions are another group's.
//!
//! Entry points: [`model`] for what is stored, [`permissions::OrganizationSnapshot`] for effective permissions,
//! [`rules`] for what the states and limits allow, [`names`] for text that people type.

pub mod catalogue;
pub mod model;
pub mod names;
pub mod permissions;
pub mod rules;
pub mod tree;
