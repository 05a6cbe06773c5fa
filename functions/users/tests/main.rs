//! The group behind its router, on a store of its own, as its callers see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod agents;
mod binary;
mod declaration;
mod delivery;
mod grants;
mod harness;
mod internal;
mod invitations;
mod jobs;
mod me;
mod members;
mod notifications;
mod organizations;
mod people;
mod projects;
mod roles;
mod teams;
