//! Erasing everything of a person or of an organization. Each step may be repeated; what opens a door goes first.

use coder_core::{Failure, OrganizationId, UserId};
use coder_database::{Entity, Filter, Operation, OutboxRecord, Partition, Query, Record, Repository};
use coder_handler::{Cause, Invocation};

use super::revocations::Revoked;
use super::{Auth, repository};
use crate::model::{
    ApiKey, ApiKeyListing, CONTAINER, EmailClaim, ExternalProvider, Identity, OneTimeToken,
    OrganizationAlias, RevokedReason, Throttle,
};

/// Documents that one write deletes.
const AT_ONCE: u32 = 90;

/// Erases what the person has: sessions, keys, links, claims, and then the whole partition.
pub(crate) async fn erase_user(auth: &Auth, run: &Invocation, user_id: UserId) -> Result<(), Failure> {
    let cause = Cause::Job(run);
    auth.end_all_sessions(cause, user_id, RevokedReason::Deactivated, |_| true).await?;
    auth.publish_revocations(cause, &[Revoked::User(user_id)]).await?;
    let theirs = || Filter::eq("userId", user_id.to_string());
    for (_, key) in everywhere(run, &auth.api_keys, theirs()).await? {
        erase_key(auth, run, &key).await?;
    }
    for login in auth.external_logins(user_id).await? {
        auth.drop_external_account(cause, &login.data).await?;
    }
    if let Some(identity) = auth.identity(user_id).await? {
        erase_partition(run, &Throttle::partition(&identity.data.email)).await?;
    }
    for (partition, claim) in everywhere(run, &repository::<EmailClaim>(&auth.runtime), theirs()).await? {
        delete(run, partition, &claim).await?;
    }
    for (partition, token) in everywhere(run, &repository::<OneTimeToken>(&auth.runtime), theirs()).await? {
        delete(run, partition, &token).await?;
    }
    erase_partition(run, &Identity::partition(user_id)).await
}

/// Erases what the organization has: keys, providers, names, the people whom it managed, and its partition with
/// the policy.
pub(crate) async fn erase_organization(
    auth: &Auth,
    run: &Invocation,
    id: OrganizationId,
) -> Result<(), Failure> {
    let cause = Cause::Job(run);
    for (_, key) in everywhere(run, &auth.api_keys, Filter::eq("ownerOrganizationId", id.to_string())).await?
    {
        erase_key(auth, run, &key).await?;
    }
    for provider in auth.providers.all(&ExternalProvider::partition(Some(id)), None, usize::MAX).await? {
        auth.drop_provider_owner(cause, provider.id()?).await?;
    }
    let aliases = repository::<OrganizationAlias>(&auth.runtime);
    for (partition, alias) in everywhere(run, &aliases, Filter::eq("aliasOf", id.to_string())).await? {
        delete(run, partition, &alias).await?;
    }
    let managed = Filter::eq("managedByOrganizationId", id.to_string());
    for (partition, before) in everywhere(run, &auth.identities, managed).await? {
        let mut unit = cause.begin(CONTAINER, partition);
        unit.replace(&before, Identity { managed_by_organization_id: None, ..before.data.clone() })?;
        cause.commit(unit).await?;
    }
    erase_partition(run, &Partition::organization(id)).await
}

/// Every document of a type in all partitions that passes the filter, with its partition.
pub(crate) async fn everywhere<T: Entity>(
    run: &Invocation,
    repository: &Repository<T>,
    filter: Filter,
) -> Result<Vec<(Partition, Record<T>)>, Failure> {
    let mut query = Query::new(filter).limit(1000);
    let mut found = Vec::new();
    loop {
        let (page, next) = repository.page_across(&run.job, &query).await?;
        found.extend(page);
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(found),
        }
    }
}

/// Deletes a document as bookkeeping: whose data is erased leaves no audit entry that repeats it.
pub(crate) async fn delete<T: Entity>(
    run: &Invocation,
    partition: Partition,
    record: &Record<T>,
) -> Result<(), Failure> {
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    unit.delete(record)?;
    run.commit(unit).await
}

/// Ends a key everywhere, and deletes it with its entry in the organization's list.
pub(crate) async fn erase_key(auth: &Auth, run: &Invocation, key: &Record<ApiKey>) -> Result<(), Failure> {
    auth.publish_revocations(Cause::Job(run), &[Revoked::Key(key.meta.id.clone())]).await?;
    let list = ApiKeyListing::partition(key.data.details.owner_organization_id);
    if let Some(listing) = repository::<ApiKeyListing>(&auth.runtime).find(&list, &key.meta.id).await? {
        delete(run, list, &listing).await?;
    }
    delete(run, ApiKey::partition(&key.meta.id), key).await
}

/// Deletes every document of a partition but the events that still wait to be published.
async fn erase_partition(run: &Invocation, partition: &Partition) -> Result<(), Failure> {
    let all_but_events = Filter::Not(Box::new(Filter::of_type(OutboxRecord::TYPE)));
    let query = Query::new(all_but_events).limit(AT_ONCE);
    loop {
        let page = run.runtime.store.query(CONTAINER, &partition.key(), &query).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        for document in page.items {
            unit.push(Operation::Delete { id: document.id, if_match: None });
        }
        run.commit(unit).await?;
    }
}
