//! Every night: people and organizations whose grace is over go for good.

use coder_core::{Result, UserId};
use coder_database::{Filter, Partition, Record};
use coder_handler::Invocation;
use jiff::SignedDuration;
use serde_json::json;

use super::{due, erase, unless_stale};
use crate::model::{CONTAINER, Organization, User};
use crate::rules::UserAct;
use crate::service::Users;

/// Hours that the other groups have to erase their share before the organization's document goes.
const SHARE_HOURS: i64 = 24;

/// Erases people and organizations whose grace is over.
pub async fn purge(users: Users, run: Invocation) -> Result<()> {
    let over = || {
        let ended = Filter::Le("deleteAfter".to_owned(), json!(users.now()));
        Filter::eq("status", "pending_deletion").and(ended)
    };
    for (partition, person) in due(&users.people, &run.job, over()).await? {
        unless_stale(purge_person(&users, &run, partition, &person).await)?;
    }
    for (partition, organization) in due(&users.organizations, &run.job, over()).await? {
        unless_stale(purge_organization(&users, &run, partition, &organization).await)?;
    }
    Ok(())
}

/// Blanks the profile and tells everybody; what the person was part of is settled by the consumer of the event.
async fn purge_person(
    users: &Users,
    run: &Invocation,
    partition: Partition,
    before: &Record<User>,
) -> Result<()> {
    let mut after = before.data.clone();
    if after.apply(UserAct::Purge, users.now()).is_err() {
        return Ok(());
    }
    let user_id: UserId = before.id()?;
    if let Some(email) = &before.data.email {
        for organization_id in users.mirrored_organizations(user_id).await? {
            erase::invitations_of(users, run, organization_id, email).await?;
        }
    }
    erase::notes_on(run, user_id).await?;
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    unit.replace(before, after)?;
    unit.emit("user.purged", &before.meta.id, json!({"userId": user_id}));
    run.commit(unit).await
}

/// First tells everybody, so that each erases its share; a day later the document itself goes.
async fn purge_organization(
    users: &Users,
    run: &Invocation,
    partition: Partition,
    before: &Record<Organization>,
) -> Result<()> {
    let now = users.now();
    if !before.data.is_due_for_purge(now) {
        return Ok(());
    }
    let Some(purged_at) = before.data.purged_at else {
        let mut unit = run.begin(CONTAINER, partition);
        unit.replace(before, Organization { purged_at: Some(now), ..before.data.clone() })?;
        unit.emit("organization.purged", &before.meta.id, json!({"organizationId": before.meta.id}));
        return run.commit(unit).await;
    };
    if now.duration_since(purged_at) < SignedDuration::from_hours(SHARE_HOURS) {
        return Ok(());
    }
    erase::organization(users, run, before.id()?).await?;
    erase::slug(users, run, &before.data.slug, &before.meta.id).await?;
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    unit.delete(before)?;
    run.commit(unit).await
}
