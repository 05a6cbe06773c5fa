//! Taking documents away for good.

use coder_core::{OrganizationId, Result, UserId};
use coder_database::claim::claim_id;
use coder_database::idempotency::IdempotencyRecord;
use coder_database::{AuditEntry, Entity, Filter, Partition, Query, Repository};
use coder_handler::{Cause, Invocation, retry_stale};
use serde_json::json;

use super::unless_stale;
use crate::model::{CONTAINER, InvitationStatus, UserKind, UserStatus, claims};
use crate::service::Users;

/// Documents that one batch takes away.
const BATCH: u32 = 90;

/// Erases everything that an organization holds here but its own document, and the agents that live in it.
pub(crate) async fn organization(users: &Users, run: &Invocation, id: OrganizationId) -> Result<()> {
    let partition = Partition::organization(id);
    for membership in users.all_memberships(id).await? {
        let user_id = membership.data.user_id;
        if membership.data.person.kind != UserKind::Human {
            retry_stale(|| identity(users, run, id, user_id)).await?;
        }
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        unit.delete(&membership)?;
        unless_stale(run.commit(unit).await)?;
        users.mirror_membership(Cause::Job(run), id, user_id).await?;
    }
    all(run, &users.invitations, &partition, None).await?;
    all(run, &users.grants, &partition, None).await?;
    all(run, &users.roles, &partition, None).await?;
    all(run, &users.team_members, &partition, None).await?;
    all(run, &users.teams, &partition, None).await?;
    all(run, &users.projects, &partition, None).await?;
    all(run, &users.claims, &partition, None).await
}

/// Blanks an agent or service of an organization, and tells everybody.
pub(crate) async fn identity(
    users: &Users,
    run: &Invocation,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<()> {
    let partition = Partition::user(user_id);
    let found = users.people.find(&partition, &user_id.to_string()).await?;
    let Some(before) = found.filter(|found| found.data.status != UserStatus::Deleted) else { return Ok(()) };
    // Before the mark that ends the work: killed in between, it begins again.
    notes_on(run, user_id).await?;
    let mut after = before.data.clone();
    after.erase();
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    unit.replace(&before, after)?;
    unit.emit_for(organization_id, "user.purged", &before.meta.id, json!({"userId": user_id}));
    run.commit(unit).await
}

/// Erases the answered and lapsed invitations of an address in an organization. Pending ones lapse by themselves.
pub(crate) async fn invitations_of(
    users: &Users,
    run: &Invocation,
    organization_id: OrganizationId,
    email: &str,
) -> Result<()> {
    let pending = Filter::eq("status", InvitationStatus::Pending.as_str());
    let theirs = Filter::eq("email", email).and(Filter::Not(Box::new(pending)));
    all(run, &users.invitations, &Partition::organization(organization_id), Some(theirs)).await
}

/// Erases what the platform noted of a person's own changes: its entries repeat the profile as it was.
pub(crate) async fn notes_on(run: &Invocation, user_id: UserId) -> Result<()> {
    let (store, partition) = (&run.runtime.store, Partition::user(user_id));
    all(run, &Repository::<AuditEntry>::new(store.clone(), CONTAINER), &partition, None).await?;
    all(run, &Repository::<IdempotencyRecord>::new(store.clone(), CONTAINER), &partition, None).await
}

/// Gives the slug of an organization back.
pub(crate) async fn slug(users: &Users, run: &Invocation, slug: &str, owner_id: &str) -> Result<()> {
    let partition = Partition::keyed("slug", slug);
    let claim = users.claims.find(&partition, &claim_id(claims::ORGANIZATION_SLUG, &[slug])).await?;
    let Some(claim) = claim.filter(|claim| claim.data.owner_id == owner_id) else { return Ok(()) };
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    unit.delete(&claim)?;
    unless_stale(run.commit(unit).await)
}

/// Erases every document of a type in a partition that passes the filter.
async fn all<T: Entity>(
    run: &Invocation,
    repository: &Repository<T>,
    partition: &Partition,
    filter: Option<Filter>,
) -> Result<()> {
    let query = Query::new(filter).limit(BATCH);
    loop {
        let (page, _) = repository.page(partition, &query).await?;
        if page.is_empty() {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        for record in &page {
            unit.delete(record)?;
        }
        run.commit(unit).await?;
    }
}
