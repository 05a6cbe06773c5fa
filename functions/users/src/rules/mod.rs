//! What the states, the limits and the owners of an organization allow.

mod invitation;
mod limits;
mod organization;
mod owners;
mod user;

pub use invitation::{InvitationError, MAX_SENT, RESEND_SECONDS};
pub use limits::{Limit, LimitReached};
pub use organization::{OrganizationAct, OrganizationStateError};
pub use owners::{LastOwner, check_owner_remains};
pub use user::{UserAct, UserStateError};

/// Days between a request for deletion and the deletion.
pub const GRACE_DAYS: i64 = 30;

/// The time at which a deletion requested now becomes final.
pub fn end_of_grace(now: coder_core::Timestamp) -> coder_core::Timestamp {
    let grace = jiff::SignedDuration::from_hours(24 * GRACE_DAYS);
    now.saturating_add(grace).unwrap_or(coder_core::Timestamp::MAX)
}
