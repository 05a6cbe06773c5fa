//! What events of other groups change here. Use is counted once by the event's id; the others read what is true now
//! and write what is missing, so that a repeated event changes nothing.

use coder_core::{Failure, OrganizationId, Result, UserId};
use coder_database::{Filter, Partition, Query, Record};
use coder_handler::{Cause, ConsumerFault, Event, Invocation, retry_stale};
use serde::Deserialize;
use serde_json::json;

use crate::jobs::erase;
use crate::mapping;
use crate::model::{Budget, Quota, QuotaScope, config};
use crate::service::{Outcome, Usage};

fn tenant(event: &Event) -> Result<OrganizationId, ConsumerFault> {
    event.organization_id.ok_or_else(|| ConsumerFault::Reject("the event names no organization".to_owned()))
}

/// Counts the use that an event tells of.
pub async fn meter(usage: Usage, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let incoming = mapping::incoming(&event);
    if incoming.is_empty() {
        return Ok(());
    }
    let outcomes = usage.ingest(Cause::Job(&run), tenant(&event)?, incoming).await?;
    let refused = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Rejected(code) => Some(*code),
        Outcome::Accepted | Outcome::Duplicate => None,
    });
    match refused {
        Some(code) => Err(ConsumerFault::Reject(format!("the use does not count: {code}"))),
        None => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPerson {
    user_id: UserId,
}

/// Ends the quotas of somebody who left.
pub async fn end_membership(usage: Usage, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    deactivate(&usage, &run, tenant(&event)?, &user_id.to_string()).await?;
    Ok(())
}

/// Ends the quotas and budgets of a deleted team or project.
pub async fn end_scope(usage: Usage, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    deactivate(&usage, &run, tenant(&event)?, &event.subject).await?;
    Ok(())
}

async fn deactivate(
    usage: &Usage,
    run: &Invocation,
    organization_id: OrganizationId,
    scope_id: &str,
) -> Result<()> {
    let partition = config(organization_id);
    let of_scope = || Query::new(Filter::eq("scopeId", scope_id).and(Filter::eq("active", true))).limit(1000);
    let (quotas, _) = usage.quotas.page(&partition, &of_scope()).await?;
    for quota in quotas.iter().filter(|quota| quota.data.scope != QuotaScope::Organization) {
        retry_stale(|| end_quota(usage, run, &partition, quota)).await?;
    }
    let (budgets, _) = usage.budgets.page(&partition, &of_scope()).await?;
    for budget in &budgets {
        retry_stale(|| end_budget(usage, run, &partition, budget)).await?;
    }
    Ok(())
}

async fn end_quota(
    usage: &Usage,
    run: &Invocation,
    partition: &Partition,
    quota: &Record<Quota>,
) -> Result<()> {
    let Some(before) = usage.quotas.find(partition, &quota.meta.id).await? else { return Ok(()) };
    let mut unit = run.begin(crate::model::CONTAINER, partition.clone());
    let (_, changes) = unit.replace(&before, Quota { active: false, ..before.data.clone() })?;
    unit.emit_changes("quota.updated", &before.meta.id, json!({"quotaId": before.meta.id}), &changes);
    run.commit(unit).await
}

async fn end_budget(
    usage: &Usage,
    run: &Invocation,
    partition: &Partition,
    budget: &Record<Budget>,
) -> Result<()> {
    let Some(before) = usage.budgets.find(partition, &budget.meta.id).await? else { return Ok(()) };
    let mut unit = run.begin(crate::model::CONTAINER, partition.clone());
    let (_, changes) = unit.replace(&before, Budget { active: false, ..before.data.clone() })?;
    unit.emit_changes("budget.updated", &before.meta.id, json!({"budgetId": before.meta.id}), &changes);
    run.commit(unit).await
}

/// Replaces an erased person by somebody without a name; totals stay.
pub async fn purge_user(usage: Usage, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    erase::person(&usage, &run, user_id).await?;
    Ok(())
}

/// Erases what a purged organization held here, but for its closed statements.
pub async fn purge_organization(_: Usage, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    match erase::organization(&run, tenant(&event)?).await {
        // Somebody wrote meanwhile: the event comes again.
        Err(failure @ Failure::Stale) => Err(ConsumerFault::Retry(failure)),
        outcome => Ok(outcome?),
    }
}
