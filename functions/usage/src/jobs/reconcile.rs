//! Every night: yesterday's hours and days are counted again from the events. What differs is a fault of ours: it is
//! put right and logged as an error.

use std::collections::{BTreeMap, BTreeSet};

use coder_core::{Failure, OrganizationId, Result};
use coder_database::{Filter, Partition, Query, Record};
use coder_handler::{Cause, Invocation, retry_stale};
use serde_json::json;

use crate::model::{Aggregation, CONTAINER, Counter, UsageEvent, month, shard};
use crate::period::{Granularity, Month, Period, Span, days_before};
use crate::series::{SHARDS, Whose};
use crate::service::plan::{Change, change, whose_counters};
use crate::service::{Checked, Named, Setup, Usage, everywhere, owner, taken_is_stale};

/// Counts yesterday again.
pub async fn reconcile(usage: Usage, run: Invocation) -> Result<()> {
    let day = Period::Day.containing(days_before(usage.now(), 1));
    let begun = Filter::Ge("occurredAt".to_owned(), json!(day.from));
    let ended = Filter::Lt("occurredAt".to_owned(), json!(day.to));
    let series = Filter::eq("series", Whose::Organization.series(Granularity::Day));
    let counted = series.and(Filter::eq("start", json!(day.from)));
    let mut organizations = BTreeSet::new();
    for (partition, _) in everywhere(&usage.counters, &run.job, counted).await? {
        organizations.insert(owner(&partition)?);
    }
    let events = begun.and(ended);
    for organization_id in organizations {
        match retry_stale(|| recount(&usage, &run, organization_id, day, &events)).await {
            // Events still come in; whatever is wrong is found by somebody who looks at the log.
            Err(Failure::Stale) => {
                tracing::warn!(organization.id = %organization_id, "a day could not be counted again");
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Counters are read before the events: an event in between changes its counters, and the correction is stale.
async fn recount(
    usage: &Usage,
    run: &Invocation,
    organization_id: OrganizationId,
    day: Span,
    events: &Filter,
) -> Result<()> {
    let setup = usage.setup(organization_id).await?;
    let mut stored = BTreeMap::new();
    for granularity in [Granularity::Hour, Granularity::Day] {
        let named = Named::Beginning(format!("{}:", granularity.as_str()));
        for counter in usage.counted(organization_id, &named, day).await? {
            if is_compared(&counter) {
                stored.insert(counter.meta.id.clone(), counter);
            }
        }
    }
    let mut expected: BTreeMap<String, Change> = BTreeMap::new();
    let mut query = Query::new(events.clone()).limit(1000);
    let partition = month(organization_id, Month::of(day.from));
    loop {
        let (page, next) = usage.events.page(&partition, &query).await?;
        for event in page {
            add(&setup, &mut expected, event);
        }
        match next {
            Some(next) => query.continuation = Some(next),
            None => break,
        }
    }
    let ids: BTreeSet<String> = stored.keys().chain(expected.keys()).cloned().collect();
    for id in ids {
        let (have, want) = (stored.get(&id), expected.remove(&id));
        correct(run, &setup, &partition, &id, have, want).await?;
    }
    Ok(())
}

/// Quotas count from their creation on, and greatest and latest values are no sums.
fn is_compared(counter: &Record<Counter>) -> bool {
    !counter.data.series.contains(":quota:") && !counter.meta.id.ends_with(":gauge")
}

fn add(setup: &Setup, expected: &mut BTreeMap<String, Change>, event: Record<UsageEvent>) {
    let Ok(event) = Checked::again(setup, event.meta.id, event.data) else { return };
    for (whose, granularity) in whose_counters(setup, &event, Whose::Price(None)) {
        if granularity == Granularity::Month || matches!(whose, Whose::Quota { .. }) {
            continue;
        }
        let mut change = change(&event, &whose, granularity, event.stored.cost.as_ref());
        change.gauges.clear();
        let part = if whose.is_sharded() { shard(&event.id, SHARDS) } else { 0 };
        let id = change.id(&part.to_string());
        match expected.get_mut(&id) {
            Some(before) => before.merge(change),
            None => drop(expected.insert(id, change)),
        }
    }
}

/// Puts one counter right, if it is wrong.
async fn correct(
    run: &Invocation,
    setup: &Setup,
    partition: &Partition,
    id: &str,
    have: Option<&Record<Counter>>,
    want: Option<Change>,
) -> Result<()> {
    let mut values = want.as_ref().map(|want| want.increments.0.clone()).unwrap_or_default();
    if let Some(have) = have {
        // Different people are counted by what was seen, not by events.
        let category = setup.category(&have.data.category_code);
        let unique = category.into_iter().flat_map(|category| &category.metrics);
        for metric in unique.filter(|metric| metric.aggregation == Aggregation::Unique) {
            let field = format!("{}_units", metric.key);
            values.extend(have.data.values.get(&field).map(|value| (field, *value)));
        }
        let present = have.data.values.iter().filter(|(_, value)| **value != 0);
        if present.eq(values.iter().filter(|(_, value)| **value != 0)) {
            return Ok(());
        }
    }
    tracing::error!(?partition, counter = id, ?values, "a counter was wrong and is put right");
    let mut unit = Cause::Job(run).begin(CONTAINER, partition.clone()).without_audit();
    match (have, want) {
        (Some(have), _) => drop(unit.replace(have, Counter { values, ..have.data.clone() })?),
        (None, Some(want)) => want.write(&mut unit, id.to_owned(), None)?,
        (None, None) => return Ok(()),
    }
    Cause::Job(run).commit(unit).await.map_err(taken_is_stale)
}
