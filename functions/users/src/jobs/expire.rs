//! Every ten minutes: what ends by itself is ended, and mails that did not leave are tried again.

use coder_core::{Code, Result, Timestamp};
use coder_database::{Filter, Partition, Record};
use coder_handler::{Cause, Invocation};
use jiff::SignedDuration;
use serde_json::json;

use super::{due, unless_stale};
use crate::invite;
use crate::model::{CONTAINER, Grant, Invitation, Membership};
use crate::service::Users;
use crate::service::gift::grant_event;

/// Minutes that the consumer of the event has for the mail before the job tries it too.
const MAIL_MINUTES: i64 = 10;
/// Hours for which a mail is tried.
const MAIL_HOURS: i64 = 24;

/// Ends invitations, grants and memberships whose time is over, and sends what mail is late.
pub async fn expire(users: Users, run: Invocation) -> Result<()> {
    let over = || Filter::Le("expiresAt".to_owned(), json!(users.now()));
    let pending = || Filter::eq("status", "pending");
    for (_, invitation) in due(&users.invitations, &run.job, pending().and(over())).await? {
        expire_invitation(&users, Cause::Job(&run), &invitation).await?;
    }
    for (partition, grant) in due(&users.grants, &run.job, over()).await? {
        unless_stale(expire_grant(&users, &run, partition, &grant).await)?;
    }
    for (_, membership) in due(&users.memberships, &run.job, over()).await? {
        unless_stale(expire_membership(&users, &run, &membership).await)?;
    }
    let unsent = pending().and(Filter::eq("delivery", "pending"));
    for (_, invitation) in due(&users.invitations, &run.job, unsent).await? {
        if is_late(&invitation.data, users.now()) {
            send(&users, &run, &invitation).await;
        }
    }
    Ok(())
}

/// Notes that an invitation has lapsed.
pub(crate) async fn expire_invitation(
    users: &Users,
    cause: Cause<'_>,
    before: &Record<Invitation>,
) -> Result<()> {
    let mut after = before.data.clone();
    let Some(organization_id) = before.meta.organization_id.filter(|_| after.expire(users.now())) else {
        return Ok(());
    };
    let mut unit = cause.begin(CONTAINER, Partition::organization(organization_id));
    invite::close(&mut unit, before, after)?;
    unless_stale(cause.commit(unit).await)
}

async fn expire_grant(
    users: &Users,
    run: &Invocation,
    partition: Partition,
    grant: &Record<Grant>,
) -> Result<()> {
    let Some(organization_id) = grant.meta.organization_id.filter(|_| !grant.data.is_active(users.now()))
    else {
        return Ok(());
    };
    let organization = users.organization(organization_id).await?;
    let mut unit = run.begin(CONTAINER, partition);
    unit.delete(grant)?;
    users.raise_version(&mut unit, &organization)?;
    unit.emit("grant.expired", &grant.meta.id, grant_event(&grant.meta.id, &grant.data));
    run.commit(unit).await
}

async fn expire_membership(users: &Users, run: &Invocation, membership: &Record<Membership>) -> Result<()> {
    let over = membership.data.expires_at.is_some_and(|end| end <= users.now());
    let Some(organization_id) = membership.meta.organization_id.filter(|_| over) else { return Ok(()) };
    let organization = users.organization(organization_id).await?;
    let mut unit = run.begin(CONTAINER, Partition::organization(organization_id));
    match users.remove_member(&mut unit, &organization, membership, "expired").await {
        Err(failure) if failure.code() == Some(Code::LastOwner) => {
            // It gives nothing any more; somebody has to be made an owner before it can go.
            tracing::warn!(organization.id = %organization_id, "the membership of the last owner has expired");
            return Ok(());
        }
        outcome => outcome?,
    }
    run.commit(unit).await?;
    users.settle_membership(Cause::Job(run), organization_id, membership.data.user_id).await
}

/// Whether the consumer of the event has had its time, and the mail is still worth a try.
fn is_late(invitation: &Invitation, now: Timestamp) -> bool {
    let since = invitation.last_sent_at.map_or(SignedDuration::ZERO, |last| now.duration_since(last));
    (SignedDuration::from_mins(MAIL_MINUTES)..SignedDuration::from_hours(MAIL_HOURS)).contains(&since)
}

async fn send(users: &Users, run: &Invocation, invitation: &Record<Invitation>) {
    let Some(organization_id) = invitation.meta.organization_id else { return };
    if let Err(failure) = invite::deliver(users, run, organization_id, &invitation.meta.id).await {
        tracing::warn!(invitation.id = %invitation.meta.id, cause = %failure, "the mail of an invitation did not leave");
    }
}

#[cfg(test)]
mod tests {
    use super::{Invitation, SignedDuration, Timestamp, is_late};

    #[test]
    fn a_late_mail_is_tried_for_a_day() {
        let sent = Timestamp::UNIX_EPOCH;
        let invitation = Invitation { last_sent_at: Some(sent), ..crate::invite::example() };
        for (minutes, late) in [(0, false), (9, false), (10, true), (24 * 60 - 1, true), (24 * 60, false)] {
            assert_eq!(is_late(&invitation, sent + SignedDuration::from_mins(minutes)), late, "{minutes}");
        }
        assert!(!is_late(&Invitation { last_sent_at: None, ..invitation }, sent));
    }
}
