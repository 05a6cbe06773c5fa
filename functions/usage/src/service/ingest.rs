//! Counting events once: each event and all its counters are written in one transaction, so that an event that comes
//! again finds itself and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use coder_core::{OrganizationId, Result, Timestamp};
use coder_handler::{Cause, retry_stale_up_to};
use jiff::SignedDuration;

use super::plan::{MAX_OPERATIONS, Plan, stored_metrics};
use super::{Setup, TRIES, Usage, taken_is_stale};
use crate::decimal::Decimal;
use crate::model::{Aggregation, CONTAINER, Dimensions, Subject, UsageEvent, event_id, month};
use crate::period::{Month, days_before, later};
use crate::rating::Metrics;

/// Days that an event may lie back.
const MAX_AGE_DAYS: i64 = 32;
/// Minutes that an event may lie ahead, since clocks differ.
const MAX_AHEAD_MINUTES: i64 = 5;
/// Events that are first tried in one transaction.
const TOGETHER: usize = 40;

/// An event as it is reported.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Who measured it.
    pub source: String,
    /// The source's own id.
    pub event_id: String,
    /// The category.
    pub category_code: String,
    /// Who or what used it.
    pub subject: Subject,
    /// How much; `None` for a number that is no quantity.
    pub metrics: BTreeMap<String, Option<Decimal>>,
    /// Particulars.
    pub dimensions: Dimensions,
    /// When.
    pub occurred_at: Timestamp,
}

/// What became of a reported event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It counts from now on.
    Accepted,
    /// It counted before.
    Duplicate,
    /// It does not count, for this reason.
    Rejected(&'static str),
}

/// An event that can be counted.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) id: String,
    pub(crate) stored: UsageEvent,
    /// How each metric adds up.
    kinds: BTreeMap<String, Aggregation>,
}

impl Checked {
    /// Checks an event; the error is the code of the rejection.
    fn of(setup: &Setup, now: Timestamp, event: Incoming) -> Result<Self, &'static str> {
        if event.occurred_at < days_before(now, MAX_AGE_DAYS) {
            return Err("too_old");
        }
        if event.occurred_at > later(now, SignedDuration::from_mins(MAX_AHEAD_MINUTES)) {
            return Err("too_early");
        }
        let metrics: Option<BTreeMap<_, _>> =
            event.metrics.into_iter().map(|(key, value)| Some((key, value?))).collect();
        let metrics = metrics.ok_or("invalid_metric")?;
        let id = event_id(&event.source, &event.event_id);
        let stored = UsageEvent {
            source: event.source,
            event_id: event.event_id,
            category_code: event.category_code,
            subject: event.subject,
            metrics: stored_metrics(&metrics),
            dimensions: event.dimensions,
            occurred_at: event.occurred_at,
            cost: None,
            unpriced: true,
        };
        Self::again(setup, id, stored)
    }

    /// A stored event, to be counted again.
    pub(crate) fn again(setup: &Setup, id: String, stored: UsageEvent) -> Result<Self, &'static str> {
        let category = setup.category(&stored.category_code).ok_or("unknown_category")?;
        let kind = |key: &String| Some((key.clone(), category.metric(key)?.aggregation));
        let kinds: Option<BTreeMap<_, _>> = stored.metrics.keys().map(kind).collect();
        Ok(Self { id, stored, kinds: kinds.ok_or("unknown_metric")? })
    }

    /// How a metric adds up.
    pub(crate) fn aggregation(&self, metric: &str) -> Aggregation {
        self.kinds.get(metric).copied().unwrap_or(Aggregation::Sum)
    }

    /// The metrics that add up so.
    pub(crate) fn of_kind(&self, kind: Aggregation) -> Vec<String> {
        self.kinds.iter().filter(|(_, one)| **one == kind).map(|(key, _)| key.clone()).collect()
    }

    /// The quantities.
    pub(crate) fn metrics(&self) -> Metrics {
        self.stored.metrics.iter().map(|(key, value)| (key.clone(), value.0)).collect()
    }
}

impl Usage {
    /// Counts events; one outcome for each, in order. What was counted before a failure stays counted.
    pub async fn ingest(
        &self,
        by: Cause<'_>,
        organization_id: OrganizationId,
        incoming: Vec<Incoming>,
    ) -> Result<Vec<Outcome>> {
        let (setup, now) = (self.setup(organization_id).await?, self.now());
        let mut outcomes = vec![Outcome::Duplicate; incoming.len()];
        let mut months: BTreeMap<Month, Vec<(usize, Checked)>> = BTreeMap::new();
        for (index, event) in incoming.into_iter().enumerate() {
            match Checked::of(&setup, now, event) {
                Ok(event) => {
                    months.entry(Month::of(event.stored.occurred_at)).or_default().push((index, event));
                }
                Err(code) => outcomes[index] = Outcome::Rejected(code),
            }
        }
        let mut counted = Vec::new();
        for (month, events) in months {
            let mut rest = events.as_slice();
            let mut together = TOGETHER;
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(together.min(rest.len()));
                let events: Vec<&Checked> = chunk.iter().map(|(_, event)| event).collect();
                let Some(found) = self.count(by, &setup, organization_id, month, &events).await? else {
                    if chunk.len() == 1 {
                        outcomes[chunk[0].0] = Outcome::Rejected("too_many_metrics");
                        rest = after;
                    }
                    together = (chunk.len() / 2).max(1);
                    continue;
                };
                for ((index, event), outcome) in chunk.iter().zip(found) {
                    outcomes[*index] = outcome;
                    if outcome == Outcome::Accepted {
                        counted.push(event.stored.clone());
                    }
                }
                rest = after;
            }
        }
        self.watch(by, organization_id, &setup, &counted).await;
        Ok(outcomes)
    }

    /// Counts events of one month in one transaction, again from the start while others are faster; nothing if they
    /// are too many for one.
    async fn count(
        &self,
        by: Cause<'_>,
        setup: &Setup,
        organization_id: OrganizationId,
        in_month: Month,
        events: &[&Checked],
    ) -> Result<Option<Vec<Outcome>>> {
        let partition = month(organization_id, in_month);
        retry_stale_up_to(TRIES, || async {
            let mut plan = Plan::of(self, setup, organization_id, in_month, self.now()).await?;
            let (mut outcomes, mut ids) = (Vec::with_capacity(events.len()), BTreeSet::new());
            for event in events {
                let known =
                    !ids.insert(&event.id) || self.events.find(&partition, &event.id).await?.is_some();
                if !known {
                    plan.add(event).await?;
                }
                outcomes.push(if known { Outcome::Duplicate } else { Outcome::Accepted });
            }
            if plan.operations() > MAX_OPERATIONS {
                return Ok(None);
            }
            let mut unit = by.begin(CONTAINER, partition.clone()).without_audit();
            plan.write(&mut unit).await?;
            by.commit(unit).await.map_err(taken_is_stale)?;
            Ok(Some(outcomes))
        })
        .await
    }
}
