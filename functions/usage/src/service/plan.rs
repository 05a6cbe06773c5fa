//! A plan of one transaction: what a number of events of one month write. It is made anew from what is stored
//! whenever somebody else was faster.

use std::collections::BTreeMap;

use coder_core::{OrganizationId, Result, Timestamp, UserId};
use coder_database::{Operation, Partition, Patch, Record, Transaction};

use super::ingest::Checked;
use super::{Setup, Usage};
use crate::decimal::{Decimal, Quantity};
use crate::model::{
    Aggregation, Cost, Counter, Gauge, MonthState, PriceId, RETENTION_DAYS, Seen, Tally, UsageEvent, month,
    shard,
};
use crate::period::{Granularity, Month, days_after};
use crate::rating::{self, Standing};
use crate::series::{SHARDS, Whose};
use crate::totals::Increments;

/// Operations of a transaction; the store takes no more.
pub(super) const MAX_OPERATIONS: usize = 100;
/// Changes of one patch; the store takes no more.
const MAX_PATCHES: usize = 10;

/// What one counter gets.
#[derive(Debug)]
pub(crate) struct Change {
    series: String,
    start: Timestamp,
    category_code: String,
    granularity: Granularity,
    pub(crate) increments: Increments,
    pub(crate) gauges: BTreeMap<String, Gauge>,
}

/// Where a price stands.
#[derive(Debug)]
struct Tallied {
    before: Option<Record<Tally>>,
    standing: Standing,
}

/// When the events of a month are counted.
#[derive(Debug)]
enum Timing {
    /// While it lasts.
    Current,
    /// After it, with what is noted of the month.
    Late(Option<Box<Record<MonthState>>>),
}

/// What a number of events of one month write.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    usage: &'a Usage,
    setup: &'a Setup,
    now: Timestamp,
    month: Month,
    partition: Partition,
    events: Vec<(String, UsageEvent)>,
    changes: BTreeMap<String, Change>,
    seen: BTreeMap<String, Seen>,
    tallies: BTreeMap<PriceId, Tallied>,
    timing: Timing,
}

impl<'a> Plan<'a> {
    /// A plan for events of a month of an organization.
    pub(super) async fn of(
        usage: &'a Usage,
        setup: &'a Setup,
        organization_id: OrganizationId,
        in_month: Month,
        now: Timestamp,
    ) -> Result<Self> {
        let partition = month(organization_id, in_month);
        let timing = if Month::of(now) > in_month {
            Timing::Late(usage.month_states.find(&partition, MonthState::ID).await?.map(Box::new))
        } else {
            Timing::Current
        };
        let (events, changes, seen, tallies) = Default::default();
        Ok(Self { usage, setup, now, month: in_month, partition, events, changes, seen, tallies, timing })
    }

    /// Adds an event that is not stored yet.
    pub(super) async fn add(&mut self, event: &Checked) -> Result<()> {
        let (cost, whose) = self.rate(event).await?;
        let unpriced = cost.is_none();
        for (whose, granularity) in whose_counters(self.setup, event, whose) {
            self.count(event, &whose, granularity, cost.as_ref()).await?;
        }
        let stored = UsageEvent { cost, unpriced, ..event.stored.clone() };
        self.events.push((event.id.clone(), stored));
        Ok(())
    }

    /// The cost of an event, and the series of its price.
    async fn rate(&mut self, event: &Checked) -> Result<(Option<Cost>, Whose)> {
        let stored = &event.stored;
        let found = self.setup.price(&stored.category_code, &stored.dimensions, stored.occurred_at);
        let price_id = found.as_ref().map(|(id, _)| *id);
        let whose = match &self.timing {
            Timing::Late(Some(state)) if state.data.closed => {
                Whose::Late { billed: Month::of(self.now), price: price_id }
            }
            _ => Whose::Price(price_id),
        };
        let Some((price_id, price)) = found else { return Ok((None, whose)) };
        let metrics = event.metrics();
        let mut standing = Standing::default();
        if price.model.depends_on_month() {
            let tallied = self.tallied(price_id).await?;
            standing = tallied.standing;
            tallied.standing.quantity += rating::quantity(&price, &metrics);
            tallied.standing.events += 1;
        }
        let amount = rating::cost(&price, &metrics, standing);
        Ok((Some(Cost { amount, currency: price.currency, price_id }), whose))
    }

    async fn tallied(&mut self, price_id: PriceId) -> Result<&mut Tallied> {
        let entry = match self.tallies.entry(price_id) {
            std::collections::btree_map::Entry::Occupied(entry) => return Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => entry,
        };
        let before = self.usage.tallies.find(&self.partition, &tally_id(price_id)).await?;
        let standing = before
            .as_ref()
            .map(|tally| Standing { quantity: tally.data.quantity, events: tally.data.events });
        Ok(entry.insert(Tallied { before, standing: standing.unwrap_or_default() }))
    }

    /// Counts an event in one counter.
    async fn count(
        &mut self,
        event: &Checked,
        whose: &Whose,
        granularity: Granularity,
        cost: Option<&Cost>,
    ) -> Result<()> {
        let mut change = change(event, whose, granularity, cost);
        if let Some(user_id) = event.stored.subject.user_id {
            for metric in event.of_kind(Aggregation::Unique) {
                if self.is_new(&change, &metric, user_id).await? {
                    change.increments.quantity(&metric, Decimal::from_units(1));
                }
            }
        }
        let mut parts = vec![];
        let gauges = std::mem::take(&mut change.gauges);
        if !gauges.is_empty() {
            parts.push((
                change.id("gauge"),
                Change { gauges, increments: Increments::default(), ..change.head() },
            ));
        }
        let part = if whose.is_sharded() { shard(&event.id, SHARDS) } else { 0 };
        parts.push((change.id(&part.to_string()), change));
        for (id, change) in parts {
            match self.changes.get_mut(&id) {
                Some(before) => before.merge(change),
                None => drop(self.changes.insert(id, change)),
            }
        }
        Ok(())
    }

    /// Whether the person was not counted yet; from now on they are.
    async fn is_new(&mut self, change: &Change, metric: &str, user_id: UserId) -> Result<bool> {
        let id = seen_id(&change.series, change.start, &change.category_code, metric, user_id);
        if self.seen.contains_key(&id) || self.usage.seen.find(&self.partition, &id).await?.is_some() {
            return Ok(false);
        }
        self.seen.insert(id, Seen { user_id });
        Ok(true)
    }

    /// How many operations the plan takes at most.
    pub(super) fn operations(&self) -> usize {
        let patches = |change: &Change| change.increments.0.len().div_ceil(MAX_PATCHES).max(1);
        let counters: usize = self.changes.values().map(patches).sum();
        self.events.len() + counters + self.seen.len() + self.tallies.len() + 1
    }

    /// Fills an open transaction.
    pub(super) async fn write(self, unit: &mut Transaction) -> Result<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        for (id, event) in self.events {
            let mut record = unit.record(id, event);
            record.expires_at = Some(days_after(record.data.occurred_at, RETENTION_DAYS));
            unit.insert(&record)?;
        }
        for (id, change) in self.changes {
            let before = self.usage.counters.find(&self.partition, &id).await?;
            change.write(unit, id, before)?;
        }
        let gone = days_after(self.month.next().start(), RETENTION_DAYS);
        for (id, seen) in self.seen {
            let mut record = unit.record(id, seen);
            record.expires_at = Some(gone);
            unit.insert(&record)?;
        }
        for (price_id, Tallied { before, standing }) in self.tallies {
            let tally = Tally { quantity: standing.quantity, events: standing.events };
            match before {
                Some(before) => drop(unit.replace(&before, tally)?),
                None => drop(unit.create(tally_id(price_id), tally)?),
            }
        }
        match self.timing {
            Timing::Current => {}
            Timing::Late(None) => {
                drop(unit.create(MonthState::ID, MonthState { closed: false, late_writes: 1 })?);
            }
            Timing::Late(Some(before)) => {
                let late_writes = before.data.late_writes + 1;
                unit.replace(&before, MonthState { late_writes, ..before.data.clone() })?;
            }
        }
        Ok(())
    }
}

/// The counters that an event is counted in. Months of prices make statements.
pub(crate) fn whose_counters(setup: &Setup, event: &Checked, price: Whose) -> Vec<(Whose, Granularity)> {
    let subject = &event.stored.subject;
    let four = [
        Whose::Organization,
        Whose::Team(subject.team_id),
        Whose::Project(subject.project_id),
        Whose::User(subject.user_id),
    ];
    let each = |whose: Whose| Granularity::ALL.map(|granularity| (whose.clone(), granularity));
    let mut all: Vec<_> = four.into_iter().flat_map(each).collect();
    let filtered = setup.rules.iter().filter(|rule| !rule.filters.is_empty());
    let own =
        filtered.filter(|rule| rule.applies(&event.stored.category_code, &event.stored.dimensions, subject));
    all.extend(own.map(|rule| (rule.whose(subject), rule.period.counters())));
    all.push((price, Granularity::Month));
    all
}

/// What an event adds to one counter, but for people who are counted once.
pub(crate) fn change(
    event: &Checked,
    whose: &Whose,
    granularity: Granularity,
    cost: Option<&Cost>,
) -> Change {
    let stored = &event.stored;
    let mut increments = Increments::default();
    increments.event(cost.is_none());
    if let Some(cost) = cost {
        increments.quantity(&cost.currency, cost.amount);
    }
    let mut gauges = BTreeMap::new();
    for (metric, quantity) in &stored.metrics {
        match event.aggregation(metric) {
            Aggregation::Sum => increments.quantity(metric, quantity.0),
            Aggregation::Count => increments.quantity(metric, Decimal::from_units(1)),
            Aggregation::Unique => {}
            aggregation @ (Aggregation::Max | Aggregation::Latest) => {
                gauges
                    .insert(metric.clone(), Gauge { aggregation, value: quantity.0, at: stored.occurred_at });
            }
        }
    }
    Change {
        series: whose.series(granularity),
        start: granularity.containing(stored.occurred_at).from,
        category_code: stored.category_code.clone(),
        granularity,
        increments,
        gauges,
    }
}

impl Change {
    /// The id of the counter.
    pub(crate) fn id(&self, shard: &str) -> String {
        let start = self.start.to_string();
        format!("counter:{}:{}:{}:{shard}", self.series, &start[..13.min(start.len())], self.category_code)
    }

    fn head(&self) -> Self {
        Self {
            series: self.series.clone(),
            start: self.start,
            category_code: self.category_code.clone(),
            granularity: self.granularity,
            increments: Increments::default(),
            gauges: BTreeMap::new(),
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.increments.merge(&other.increments);
        for (metric, gauge) in other.gauges {
            let merged = self.gauges.get(&metric).map_or(gauge, |have| have.merged(gauge));
            self.gauges.insert(metric, merged);
        }
    }

    /// Creates the counter, or adds to it.
    pub(crate) fn write(
        self,
        unit: &mut Transaction,
        id: String,
        before: Option<Record<Counter>>,
    ) -> Result<()> {
        let Some(before) = before else {
            let expires_at = self.granularity.retention_days().map(|days| days_after(self.start, days));
            let Self { series, start, category_code, increments: Increments(values), gauges, .. } = self;
            let mut record = unit.record(id, Counter { series, start, category_code, values, gauges });
            record.expires_at = expires_at;
            return unit.insert(&record);
        };
        if !self.gauges.is_empty() {
            let mut counter = before.data.clone();
            for (metric, gauge) in self.gauges {
                let merged = counter.gauges.get(&metric).map_or(gauge, |have| have.merged(gauge));
                counter.gauges.insert(metric, merged);
            }
            unit.replace(&before, counter)?;
            return Ok(());
        }
        for patches in increments(&self.increments) {
            unit.push(Operation::Patch { id: id.clone(), patches, if_match: None });
        }
        Ok(())
    }
}

/// The patches that add the increments, each with as many changes as the store takes.
fn increments(increments: &Increments) -> Vec<Vec<Patch>> {
    let patch = |(field, by): (&String, &i64)| Patch::Increment { field: format!("values.{field}"), by: *by };
    let all: Vec<Patch> = increments.0.iter().map(patch).collect();
    all.chunks(MAX_PATCHES).map(<[Patch]>::to_vec).collect()
}

/// The id of a price's tally.
pub(crate) fn tally_id(price_id: PriceId) -> String {
    format!("tally:{price_id}")
}

fn seen_id(series: &str, start: Timestamp, category_code: &str, metric: &str, user_id: UserId) -> String {
    let parts = [series, &start.to_string(), category_code, metric, &user_id.to_string()];
    format!("seen:{}", coder_core::text::sha256_hex(&parts))
}

/// Quantities as they are stored.
pub(crate) fn stored_metrics(metrics: &BTreeMap<String, Decimal>) -> BTreeMap<String, Quantity> {
    metrics.iter().map(|(key, value)| (key.clone(), Quantity(*value))).collect()
}
