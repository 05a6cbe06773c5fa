//! What other groups' events change here.

use coder_handler::{ConsumerFault, Event, Invocation};
use serde::Deserialize;

use crate::service::{Acting, Users};

/// Notes a sign-in.
pub async fn note_login(_: Users, _: Invocation, _: Event) -> Result<(), ConsumerFault> {
    Ok(())
}

/// Mirrors a verified or changed e-mail address.
pub async fn mirror_email(_: Users, _: Invocation, _: Event) -> Result<(), ConsumerFault> {
    Ok(())
}

/// Whose membership it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfMember {
    user_id: coder_core::UserId,
}

/// Settles what hangs on a membership, should the request that changed it not have come so far.
pub async fn mirror_membership(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let Some(organization_id) = event.organization_id else {
        return Err(ConsumerFault::Reject("a membership event names its organization".to_owned()));
    };
    let member: OfMember = event.payload()?;
    users.settle_membership(Acting::Job(&run), organization_id, member.user_id).await?;
    Ok(())
}
