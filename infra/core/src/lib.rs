//! What every part of the platform agrees on: ids, time, randomness, problems, callers, permissions, sealed
//! cursors. No I/O and no HTTP framework: a store, a gateway and a command-line tool can all depend on it.
//!
//! Entry points: [`Ambient`] for time and ids, [`Problem`] for what a caller is told, [`Failure`] for how a
//! handler ends early, [`Caller`] for who is asking, [`permission`] for what they may do.

pub mod ambient;
pub mod caller;
pub mod cursor;
pub mod failure;
pub mod id;
pub mod permission;
pub mod problem;
pub mod text;

pub use ambient::{Ambient, Clock, Entropy, ManualClock, OsEntropy, SystemClock};
pub use caller::{Actor, ActorKind, Caller, Credential};
pub use failure::{Failure, Result, StoredAnswer};
pub use id::{OrganizationId, ProjectId, SessionId, TeamId, UserId};
pub use permission::{Pattern, Permission, PermissionSet, Scope};
pub use problem::{Code, Fault, Problem};

/// A point in time, in UTC; written as RFC 3339.
pub use jiff::Timestamp;
