//! What events change here: those of `auth` on a person, and our own on what hangs on a thing that is gone. Every
//! consumer reads what is true now and writes what is missing, so that a repeated event changes nothing.

use coder_core::{Code, OrganizationId, Result, UserId};
use coder_database::{Filter, Partition, Query};
use coder_handler::{Cause, ConsumerFault, Event, Invocation, retry_stale};
use serde::Deserialize;
use serde_json::json;

use crate::invite;
use crate::jobs::erase;
use crate::model::{CONTAINER, Organization, OrganizationStatus, User};
use crate::routes::team_members;
use crate::service::Users;
use crate::service::gift::grant_event;

/// Documents that one batch takes away; each needs an operation for its event too.
const BATCH: u32 = 20;

/// Whom an event is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPerson {
    user_id: UserId,
}

fn tenant(event: &Event) -> Result<OrganizationId, ConsumerFault> {
    event.organization_id.ok_or_else(|| ConsumerFault::Reject("the event names no organization".to_owned()))
}

/// Notes a sign-in.
pub async fn note_login(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    let partition = Partition::user(user_id);
    retry_stale(|| async {
        let Some(before) = users.people.find(&partition, &user_id.to_string()).await? else { return Ok(()) };
        if before.data.last_login_at.is_some_and(|last| last >= event.time) {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        unit.replace(&before, User { last_login_at: Some(event.time), ..before.data.clone() })?;
        run.commit(unit).await
    })
    .await?;
    Ok(())
}

/// Whose address was confirmed or changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfAddress {
    user_id: UserId,
    email: Option<String>,
}

/// Mirrors a confirmed or changed e-mail address; a change takes effect once the new address is confirmed.
pub async fn mirror_email(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let is_change = event.kind == "coder.auth.identity.email-changed";
    if !is_change && event.kind != "coder.auth.identity.email-verified" {
        return Ok(());
    }
    let OfAddress { user_id, email } = event.payload()?;
    let email = if is_change && email.is_none() { users.account_email(user_id).await? } else { email };
    if is_change && email.is_none() {
        return Err(ConsumerFault::Reject("`auth` knows no address of this person".to_owned()));
    }
    let email = email.as_deref().and_then(crate::names::email);
    let partition = Partition::user(user_id);
    retry_stale(|| async {
        let Some(before) = users.people.find(&partition, &user_id.to_string()).await? else { return Ok(()) };
        let email = email.clone().or_else(|| before.data.email.clone());
        let mut unit = run.begin(CONTAINER, partition.clone());
        let (record, changes) =
            unit.replace(&before, User { email, email_verified: true, ..before.data.clone() })?;
        if changes.is_empty() {
            return Ok(());
        }
        unit.emit_changes("user.updated", &record.meta.id, json!({"userId": user_id}), &changes);
        run.commit(unit).await
    })
    .await?;
    absent_is_done(users.mirror_person(Cause::Job(&run), user_id).await)?;
    Ok(())
}

/// Somebody who is not there has nothing to mirror.
fn absent_is_done(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(failure) if failure.code() == Some(Code::NotFound) => Ok(()),
        outcome => outcome,
    }
}

/// Settles what hangs on a membership, should the request that changed it not have come so far.
pub async fn mirror_membership(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    users.settle_membership(Cause::Job(&run), tenant(&event)?, user_id).await?;
    Ok(())
}

/// Settles what hangs on a person: what memberships show, and after a purge the memberships themselves.
pub async fn settle_person(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    if event.kind == "coder.users.user.purged" {
        for organization_id in users.mirrored_organizations(user_id).await? {
            retry_stale(|| leave(&users, &run, organization_id, user_id)).await?;
            users.settle_membership(Cause::Job(&run), organization_id, user_id).await?;
        }
        return Ok(());
    }
    absent_is_done(users.mirror_person(Cause::Job(&run), user_id).await)?;
    Ok(())
}

/// Takes the membership of an erased person away, the last owner's too; an organization without anybody left goes
/// with it.
async fn leave(
    users: &Users,
    run: &Invocation,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<()> {
    let partition = Partition::organization(organization_id);
    let Some(organization) = users.organizations.find(&partition, &organization_id.to_string()).await? else {
        return Ok(());
    };
    let Some(membership) = users.find_membership(organization_id, user_id).await? else { return Ok(()) };
    let mut unit = run.begin(CONTAINER, partition);
    unit.delete(&membership)?;
    let event = json!({"userId": user_id, "reason": "purged"});
    unit.emit("membership.removed", &user_id.to_string(), event);
    let alone = users.all_memberships(organization_id).await?.len() <= 1;
    if alone && organization.data.status == OrganizationStatus::Active {
        let (status, delete_after) = (OrganizationStatus::PendingDeletion, Some(users.now()));
        unit.replace(&organization, Organization { status, delete_after, ..organization.data.clone() })?;
        let event = json!({"organizationId": organization_id});
        unit.emit("organization.deletion-requested", &organization.meta.id, event);
    } else {
        users.raise_version(&mut unit, &organization)?;
    }
    run.commit(unit).await
}

/// Has the mail of an invitation sent.
pub async fn send_invitation(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    invite::deliver(&users, &run, tenant(&event)?, &event.subject).await?;
    Ok(())
}

/// Takes away the places in a deleted team and the grants to it and at it.
pub async fn clear_team(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let (organization_id, id) = (tenant(&event)?, event.subject.as_str());
    clear_grants(&users, &run, organization_id, "subject.id", id).await?;
    clear_grants(&users, &run, organization_id, "scope.id", id).await?;
    let partition = Partition::organization(organization_id);
    let of_team = Query::new(Filter::eq("teamId", id)).limit(BATCH);
    loop {
        let (places, _) = users.team_members.page(&partition, &of_team).await?;
        if places.is_empty() {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, partition.clone());
        for place in &places {
            unit.delete(place)?;
            unit.emit("team-member.removed", &place.meta.id, team_members::event(&place.data));
        }
        run.commit(unit).await?;
    }
}

/// Takes away the grants at a deleted project.
pub async fn clear_project(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    clear_grants(&users, &run, tenant(&event)?, "scope.id", &event.subject).await?;
    Ok(())
}

async fn clear_grants(
    users: &Users,
    run: &Invocation,
    organization_id: OrganizationId,
    field: &str,
    id: &str,
) -> Result<()> {
    let partition = Partition::organization(organization_id);
    let query = Query::new(Filter::eq(field, id)).limit(BATCH);
    loop {
        let (grants, _) = users.grants.page(&partition, &query).await?;
        if grants.is_empty() {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, partition.clone());
        for grant in &grants {
            unit.delete(grant)?;
            unit.emit("grant.removed", &grant.meta.id, grant_event(&grant.meta.id, &grant.data));
        }
        run.commit(unit).await?;
    }
}

/// Erases what a purged organization held here.
pub async fn purge_organization(users: Users, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    erase::organization(&users, &run, tenant(&event)?).await?;
    Ok(())
}
