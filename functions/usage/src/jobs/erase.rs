//! Taking people and organizations out of what is stored.

use std::collections::BTreeMap;

use coder_core::{Failure, OrganizationId, Result, UserId};
use coder_database::claim::{Claim, claim_id};
use coder_database::{
    Entity, Filter, Operation, Partition, Query, Record, Repository, StoreError, Transaction,
};
use coder_handler::{Invocation, retry_stale};
use serde_json::json;

use crate::model::{Alert, CONTAINER, Counter, QUOTA_CLAIM, Reservation, Subject, UsageEvent};
use crate::service::{Usage, everywhere, taken_is_stale};

/// Documents that one transaction takes; each can need two operations.
const BATCH: usize = 40;
/// Documents that one query finds.
const PAGE: u32 = 500;

/// A random stand-in for a person in each organization, so that nobody can follow them from one to another.
#[derive(Debug, Default)]
struct StandIns(BTreeMap<Option<OrganizationId>, UserId>);

impl StandIns {
    fn of(&mut self, run: &Invocation, partition: &Partition) -> UserId {
        let made = || run.runtime.ambient.new_id();
        *self.0.entry(partition.organization_id()).or_insert_with(made)
    }
}

/// Replaces a person by a random stand-in wherever they used something. Totals stay.
pub(crate) async fn person(usage: &Usage, run: &Invocation, user_id: UserId) -> Result<()> {
    let id = user_id.to_string();
    let mut names = StandIns::default();
    let subject = || Filter::eq("subject.userId", id.as_str());
    rewrite(run, &mut names, &usage.events, subject(), |unit, event, name| {
        let subject = Subject { user_id: Some(name), ..event.data.subject };
        unit.replace(event, UsageEvent { subject, ..event.data.clone() }).map(drop)
    })
    .await?;
    rewrite(run, &mut names, &usage.reservations, subject(), |unit, reservation, name| {
        let subject = Subject { user_id: Some(name), ..reservation.data.subject };
        let holder = reservation.data.holder.replace(&id, &name.to_string());
        unit.replace(reservation, Reservation { subject, holder, ..reservation.data.clone() }).map(drop)
    })
    .await?;
    rewrite(run, &mut names, &usage.alerts, Filter::eq("userId", id.as_str()), |unit, alert, name| {
        unit.replace(alert, Alert { user_id: Some(name), ..alert.data.clone() }).map(drop)
    })
    .await?;
    let series = Filter::Contains("series".to_owned(), id.clone());
    rewrite(run, &mut names, &usage.counters, series, |unit, counter, name| rename(unit, counter, &id, name))
        .await?;
    rewrite(run, &mut names, &usage.seen, Filter::eq("userId", id.as_str()), |unit, seen, _| {
        unit.delete(seen)
    })
    .await?;
    for (partition, quota) in everywhere(&usage.quotas, &run.job, Filter::eq("scopeId", id.as_str())).await? {
        retry_stale(|| forget_quota(usage, run, &partition, &quota.meta.id)).await?;
    }
    Ok(())
}

/// A quota of one person goes with them, and so does the claim that kept it unique.
async fn forget_quota(usage: &Usage, run: &Invocation, partition: &Partition, id: &str) -> Result<()> {
    let Some(quota) = usage.quotas.find(partition, id).await? else { return Ok(()) };
    let unique = quota.data.unique();
    let unique = unique.each_ref().map(String::as_str);
    let claims = Repository::<Claim>::new(run.runtime.store.clone(), CONTAINER);
    let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
    if let Some(claim) = claims.find(partition, &claim_id(QUOTA_CLAIM, &unique)).await? {
        unit.delete(&claim)?;
    }
    unit.delete(&quota)?;
    run.commit(unit).await
}

/// A counter has its series in its id: it is made anew under another name.
fn rename(unit: &mut Transaction, counter: &Record<Counter>, id: &str, name: UserId) -> Result<()> {
    let series = counter.data.series.replace(id, &name.to_string());
    let document = counter.meta.id.replace(id, &name.to_string());
    let mut record = unit.record(document, Counter { series, ..counter.data.clone() });
    record.expires_at = counter.expires_at;
    unit.insert(&record)?;
    unit.delete(counter)
}

/// Changes every document that passes, across all organizations, until none is left that does.
async fn rewrite<T: Entity>(
    run: &Invocation,
    names: &mut StandIns,
    repository: &Repository<T>,
    filter: Filter,
    change: impl Fn(&mut Transaction, &Record<T>, UserId) -> Result<()>,
) -> Result<()> {
    for (partition, found) in everywhere(repository, &run.job, filter.clone()).await? {
        let name = names.of(run, &partition);
        let id = found.meta.id;
        retry_stale(|| async {
            let Some(record) = repository.find(&partition, &id).await? else { return Ok(()) };
            let body = serde_json::to_value(&record).map_err(Failure::internal)?;
            if !filter.matches(&body) {
                return Ok(());
            }
            let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
            change(&mut unit, &record, name)?;
            run.commit(unit).await.map_err(taken_is_stale)
        })
        .await?;
    }
    Ok(())
}

/// Erases everything that an organization holds here but its closed statements, and events that wait to be told.
pub(crate) async fn organization(run: &Invocation, id: OrganizationId) -> Result<()> {
    let (store, partition) = (&run.runtime.store, Partition::organization(id));
    let kept = Filter::In("type".to_owned(), vec![json!("statement"), json!("outbox")]);
    let query = Query::new(Filter::Not(Box::new(kept))).limit(PAGE);
    loop {
        let page = store.query(CONTAINER, &partition.key(), &query).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        let mut buckets: BTreeMap<Option<String>, (Partition, Vec<String>)> = BTreeMap::new();
        for document in page.items {
            let of = Partition::of_document(&run.job, &document.body);
            let of =
                of.ok_or_else(|| Failure::internal(format!("`{}` has no partition key", document.id)))?;
            let bucket = of.bucket_name().map(str::to_owned);
            buckets.entry(bucket).or_insert_with(|| (of, Vec::new())).1.push(document.id);
        }
        for (partition, ids) in buckets.into_values() {
            for ids in ids.chunks(BATCH) {
                let delete = |id: &String| Operation::Delete { id: id.clone(), if_match: None };
                match store.write(CONTAINER, &partition.key(), ids.iter().map(delete).collect()).await {
                    Err(StoreError::NotFound { .. }) => return Err(Failure::Stale),
                    written => drop(written?),
                }
            }
        }
    }
}
