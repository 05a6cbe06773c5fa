//! What events of the platform change here. Every consumer may get an event twice and does no harm then.

use coder_core::{Failure, OrganizationId, Timestamp, UserId};
use coder_database::{Change, Filter};
use coder_handler::{Cause, ConsumerFault, Event, Invocation, RouteGroup};
use serde::Deserialize;

use crate::Auth;
use crate::email::EmailAddress;
use crate::model::{Alias, CONTAINER, Identity, IdentityStatus, RevokedReason, Session};
use crate::service::revocations::{self, Revoked};
use crate::service::{erasure, mail};

type Outcome = Result<(), ConsumerFault>;

pub(crate) fn declare(group: RouteGroup<Auth>) -> RouteGroup<Auth> {
    group
        .on_event_with(mail::ATTEMPTS, "send-mail", "coder.auth.mail.queued", mail::send)
        .on_event("publish-revocations", "coder.auth.session.revoked", revocations::republish)
        .on_event("deactivate-user", "coder.users.user.deactivated", deactivate)
        .on_event("reactivate-user", "coder.users.user.reactivated", reactivate)
        .on_event("erase-user", "coder.users.user.purged", erase_user)
        .on_event("end-membership", "coder.users.membership.removed", end_membership)
        .on_event("rename-organization", "coder.users.organization.updated", rename)
        .on_event("erase-organization", "coder.users.organization.purged", erase_organization)
        .on_event("adopt-domain", "coder.users.domain.verified", adopt_domain)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfUser {
    user_id: UserId,
}

/// Nobody signs in as a deactivated person; what they have ends at once. Their API keys rest: they are looked at
/// together with the person.
async fn deactivate(auth: Auth, run: Invocation, event: Event) -> Outcome {
    let OfUser { user_id } = event.payload()?;
    let cause = Cause::Job(&run);
    if !set_status(&auth, cause, user_id, IdentityStatus::Deactivated, event.time).await? {
        // The person is back already; only what was begun before must not outlive it.
        let begun_before = |session: &Session| session.auth_time <= event.time;
        auth.end_all_sessions(cause, user_id, RevokedReason::Deactivated, begun_before).await?;
        return Ok(());
    }
    auth.end_all_sessions(cause, user_id, RevokedReason::Deactivated, |_| true).await?;
    Ok(auth.publish_revocations(cause, &[Revoked::User(user_id)]).await?)
}

async fn reactivate(auth: Auth, run: Invocation, event: Event) -> Outcome {
    let OfUser { user_id } = event.payload()?;
    set_status(&auth, Cause::Job(&run), user_id, IdentityStatus::Active, event.time).await?;
    Ok(())
}

/// Follows a change of the person's status; answers whether it is the latest known. Events come again and in any
/// order, so that one from before the latest says nothing of the present.
async fn set_status(
    auth: &Auth,
    cause: Cause<'_>,
    user_id: UserId,
    status: IdentityStatus,
    since: Timestamp,
) -> Result<bool, Failure> {
    let Some(before) = auth.identity(user_id).await? else { return Ok(true) };
    if before.data.status_since.is_some_and(|latest| latest > since) {
        return Ok(false);
    }
    let mut after = Identity { status_since: Some(since), ..before.data.clone() };
    if matches!(after.status, IdentityStatus::Active | IdentityStatus::Deactivated) && after.status != status
    {
        after.status = status;
        after.token_epoch = after.token_epoch.saturating_add(1);
    }
    if before.data.status_since != after.status_since || before.data.status != after.status {
        let mut unit = cause.begin(CONTAINER, Identity::partition(user_id));
        unit.replace(&before, after)?;
        cause.commit(unit).await?;
    }
    Ok(true)
}

async fn erase_user(auth: Auth, run: Invocation, event: Event) -> Outcome {
    let OfUser { user_id } = event.payload()?;
    Ok(erasure::erase_user(&auth, &run, user_id).await?)
}

/// Ends the person's sessions in the organization and the keys that they made there.
async fn end_membership(auth: Auth, run: Invocation, event: Event) -> Outcome {
    let OfUser { user_id } = event.payload()?;
    let organization_id = organization(&event)?;
    let cause = Cause::Job(&run);
    // First, so that no token that is made meanwhile outlives the membership.
    auth.publish_revocations(cause, &[Revoked::Membership(user_id, organization_id)]).await?;
    auth.end_all_sessions(cause, user_id, RevokedReason::MembershipRemoved, |session| {
        session.current_organization_id == Some(organization_id)
    })
    .await?;
    Ok(auth.revoke_api_keys_of(cause, user_id, organization_id).await?)
}

#[derive(Debug, Deserialize)]
struct Changed {
    #[serde(default)]
    changes: Vec<Change>,
}

/// Follows a change of the short name by which login providers are found.
async fn rename(auth: Auth, run: Invocation, event: Event) -> Outcome {
    let Changed { changes } = event.payload()?;
    let organization_id = organization(&event)?;
    let slug = changes.iter().find(|change| change.path == "/slug");
    let names = slug.and_then(|change| Some((change.from.as_str()?, change.to.as_str()?)));
    let Some((from, to)) = names else { return Ok(()) };
    if auth.organization_of(Alias::Slug(from)).await? != Some(organization_id) {
        return Ok(());
    }
    let cause = Cause::Job(&run);
    auth.set_alias(cause, Alias::Slug(to), organization_id).await?;
    Ok(auth.drop_alias(cause, Alias::Slug(from), organization_id).await?)
}

async fn erase_organization(auth: Auth, run: Invocation, event: Event) -> Outcome {
    Ok(erasure::erase_organization(&auth, &run, organization(&event)?).await?)
}

#[derive(Debug, Deserialize)]
struct OfDomain {
    domain: String,
}

/// From now on the organization manages the people whose address is in the domain.
async fn adopt_domain(auth: Auth, run: Invocation, event: Event) -> Outcome {
    let OfDomain { domain } = event.payload()?;
    let (domain, organization_id) = (domain.to_lowercase(), organization(&event)?);
    let cause = Cause::Job(&run);
    auth.set_alias(cause, Alias::Domain(&domain), organization_id).await?;
    let there = Filter::Contains("email".into(), format!("@{domain}"));
    for (partition, before) in erasure::everywhere(&run, &auth.identities, there).await? {
        let in_domain = |email: &EmailAddress| email.domain() == domain;
        if !in_domain(&before.data.email) || before.data.managed_by_organization_id == Some(organization_id) {
            continue;
        }
        let managed_by_organization_id = Some(organization_id);
        let mut unit = cause.begin(CONTAINER, partition);
        unit.replace(&before, Identity { managed_by_organization_id, ..before.data.clone() })?;
        cause.commit(unit).await?;
    }
    Ok(())
}

fn organization(event: &Event) -> Result<OrganizationId, ConsumerFault> {
    event.organization_id.ok_or_else(|| ConsumerFault::Reject("the event names no organization".into()))
}
