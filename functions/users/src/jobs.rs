//! What runs by the clock.

use coder_core::Result;
use coder_handler::Invocation;

use crate::service::Users;

/// Ends invitations, grants and memberships whose time is over.
pub async fn expire(_: Users, _: Invocation) -> Result<()> {
    Ok(())
}

/// Erases people and organizations whose grace is over.
pub async fn purge(_: Users, _: Invocation) -> Result<()> {
    Ok(())
}

/// Repairs mirrors.
pub async fn repair(_: Users, _: Invocation) -> Result<()> {
    Ok(())
}
