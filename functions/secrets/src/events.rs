//! What changes elsewhere mean here: whose scope is gone, whose secrets go too. Every consumer reads what is true now
//! and writes what is missing, so that a repeated event changes nothing.

use coder_core::{Failure, OrganizationId, Result, UserId};
use coder_database::claim::Claim;
use coder_database::idempotency::IdempotencyRecord;
use coder_database::{AuditEntry, Entity, Filter, Partition, Query, Record, Repository};
use coder_handler::{ConsumerFault, Event, Invocation, retry_stale};
use serde::Deserialize;
use serde_json::json;

use crate::access::Trail;
use crate::jobs::due;
use crate::model::{CONTAINER, DataKeyState, Grant, KeyRing, Secret, SecretScope, SecretState, Tally};
use crate::service::Secrets;

/// Documents that one batch takes away.
const BATCH: u32 = 40;

/// Whom an event is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPerson {
    user_id: UserId,
}

fn tenant(event: &Event) -> Result<OrganizationId, ConsumerFault> {
    event.organization_id.ok_or_else(|| ConsumerFault::Reject("the event names no organization".to_owned()))
}

/// Deletes the secrets of a project that is gone; they can be restored like others.
pub async fn clear_project(secrets: Secrets, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    clear_scope(&secrets, &run, tenant(&event)?, SecretScope::Project, &event.subject).await?;
    Ok(())
}

/// Deletes the secrets of a team that is gone, and what was shared with it.
pub async fn clear_team(secrets: Secrets, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let organization_id = tenant(&event)?;
    clear_scope(&secrets, &run, organization_id, SecretScope::Team, &event.subject).await?;
    clear_grants(&secrets, &run, organization_id, &event.subject).await?;
    Ok(())
}

/// Deletes the personal secrets of somebody who left, and what was shared with them.
pub async fn clear_member(secrets: Secrets, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let (organization_id, OfPerson { user_id }) = (tenant(&event)?, event.payload()?);
    let user = user_id.to_string();
    clear_scope(&secrets, &run, organization_id, SecretScope::User, &user).await?;
    clear_grants(&secrets, &run, organization_id, &user).await?;
    Ok(())
}

/// The same in every organization, for somebody who is erased.
pub async fn clear_person(secrets: Secrets, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    let user = user_id.to_string();
    let of_person = of_scope(SecretScope::User, &user);
    for (partition, secret) in due(&secrets.secrets, &run.job, of_person).await? {
        retry_stale(|| delete(&secrets, &run, &partition, &secret.meta.id)).await?;
    }
    for (partition, grant) in due(&secrets.grants, &run.job, Filter::eq("principal.id", user)).await? {
        retry_stale(|| unshare(&secrets, &run, &partition, &grant.meta.id)).await?;
    }
    Ok(())
}

/// Destroys the data keys of a purged organization, so that nothing of its values can ever be read again, wherever a
/// copy is; then erases what it held here.
pub async fn purge_organization(
    secrets: Secrets,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    let partition = Partition::organization(tenant(&event)?);
    let alive = Filter::Ne("state".to_owned(), json!(DataKeyState::Destroyed));
    for key in secrets.keys.records.all(&partition, alive, usize::MAX).await? {
        retry_stale(|| shred(&secrets, &run, &partition, &key.meta.id)).await?;
    }
    let store = &run.runtime.store;
    erase(&run, &secrets.versions, &partition).await?;
    erase(&run, &secrets.secrets, &partition).await?;
    erase(&run, &secrets.grants, &partition).await?;
    erase(&run, &secrets.accesses, &partition).await?;
    erase::<Claim>(&run, &secrets.claims, &partition).await?;
    erase::<Tally>(&run, &secrets.tallies, &partition).await?;
    erase::<KeyRing>(&run, &secrets.keys.rings, &partition).await?;
    erase(&run, &Repository::<coder_jobs::JobRecord>::new(store.clone(), CONTAINER), &partition).await?;
    erase(&run, &Repository::<IdempotencyRecord>::new(store.clone(), CONTAINER), &partition).await?;
    erase(&run, &Repository::<AuditEntry>::new(store.clone(), CONTAINER), &partition).await?;
    Ok(())
}

fn of_scope(scope: SecretScope, id: &str) -> Filter {
    let present = Filter::Ne("state".to_owned(), json!(SecretState::Deleted));
    Filter::And(vec![Filter::eq("scope", scope.as_str()), Filter::eq("scopeId", id), present])
}

async fn clear_scope(
    secrets: &Secrets,
    run: &Invocation,
    organization_id: OrganizationId,
    scope: SecretScope,
    id: &str,
) -> Result<()> {
    let partition = Partition::organization(organization_id);
    let found: Vec<Record<Secret>> = secrets.secrets.all(&partition, of_scope(scope, id), usize::MAX).await?;
    for secret in found {
        retry_stale(|| delete(secrets, run, &partition, &secret.meta.id)).await?;
    }
    Ok(())
}

async fn clear_grants(
    secrets: &Secrets,
    run: &Invocation,
    organization_id: OrganizationId,
    principal: &str,
) -> Result<()> {
    let partition = Partition::organization(organization_id);
    let theirs = Filter::eq("principal.id", principal);
    let found: Vec<Record<Grant>> = secrets.grants.all(&partition, theirs, usize::MAX).await?;
    for grant in found {
        retry_stale(|| unshare(secrets, run, &partition, &grant.meta.id)).await?;
    }
    Ok(())
}

async fn delete(secrets: &Secrets, run: &Invocation, partition: &Partition, id: &str) -> Result<()> {
    let found = secrets.secrets.find(partition, id).await?;
    let Some(secret) = found.filter(|found| found.data.state != SecretState::Deleted) else { return Ok(()) };
    let mut unit = run.begin(CONTAINER, partition.clone());
    Secrets::delete(&mut unit, &Trail::of_job(run), &secret)?;
    run.commit(unit).await
}

async fn unshare(secrets: &Secrets, run: &Invocation, partition: &Partition, id: &str) -> Result<()> {
    let Some(grant) = secrets.grants.find(partition, id).await? else { return Ok(()) };
    let mut unit = run.begin(CONTAINER, partition.clone());
    Secrets::delete_grant(&mut unit, &grant)?;
    run.commit(unit).await
}

async fn shred(secrets: &Secrets, run: &Invocation, partition: &Partition, id: &str) -> Result<()> {
    let Some(key) = secrets.keys.records.find(partition, id).await? else { return Ok(()) };
    let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
    secrets.keys.destroy(&mut unit, &key)?;
    run.commit(unit).await
}

/// Erases every document of a type in a partition.
async fn erase<T: Entity>(run: &Invocation, repository: &Repository<T>, partition: &Partition) -> Result<()> {
    let query = Query::new(None).limit(BATCH);
    loop {
        let (page, _) = repository.page(partition, &query).await?;
        if page.is_empty() {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        for record in &page {
            unit.delete(record)?;
        }
        match run.commit(unit).await {
            Ok(()) | Err(Failure::Stale) => {}
            Err(failure) => return Err(failure),
        }
    }
}
