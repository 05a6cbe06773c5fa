//! What counters add up to.

use std::collections::BTreeMap;

use crate::decimal::Decimal;
use crate::model::{Counter, Gauge};

const UNITS: &str = "units";
const MILLIONTHS: &str = "millionths";
const EVENTS: &str = "events_count";
const UNPRICED: &str = "unpriced_count";

/// What one write adds to a counter: field of [`Counter::values`] to number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Increments(pub BTreeMap<String, i64>);

impl Increments {
    /// Counts one event.
    pub fn event(&mut self, unpriced: bool) {
        self.add(EVENTS.to_owned(), 1);
        if unpriced {
            self.add(UNPRICED.to_owned(), 1);
        }
    }

    /// Adds to a metric, or to the cost in a currency. Metrics begin with a small letter, currencies with a capital.
    pub fn quantity(&mut self, key: &str, quantity: Decimal) {
        let (units, millionths) = quantity.split();
        self.add(format!("{key}_{UNITS}"), units);
        self.add(format!("{key}_{MILLIONTHS}"), millionths);
    }

    fn add(&mut self, field: String, by: i64) {
        if by != 0 {
            let sum = self.0.entry(field).or_default();
            *sum = sum.saturating_add(by);
        }
    }

    /// Adds everything of another.
    pub fn merge(&mut self, other: &Self) {
        for (field, by) in &other.0 {
            self.add(field.clone(), *by);
        }
    }
}

/// The sum of counters of one category.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events.
    pub events: i64,
    /// Events without a price.
    pub unpriced: i64,
    /// Sums by metric.
    pub sums: BTreeMap<String, Decimal>,
    /// Costs by currency.
    pub costs: BTreeMap<String, Decimal>,
    /// Greatest and latest values by metric.
    pub gauges: BTreeMap<String, Gauge>,
}

impl Totals {
    /// Adds a counter.
    pub fn add(&mut self, counter: &Counter) {
        for (field, value) in &counter.values {
            self.add_field(field, *value);
        }
        for (metric, gauge) in &counter.gauges {
            let merged = self.gauges.get(metric).map_or(*gauge, |have| have.merged(*gauge));
            self.gauges.insert(metric.clone(), merged);
        }
    }

    fn add_field(&mut self, field: &str, value: i64) {
        match field {
            EVENTS => self.events += value,
            UNPRICED => self.unpriced += value,
            _ => {
                let Some((key, part)) = field.rsplit_once('_') else { return };
                let quantity = if part == UNITS { Decimal::join(value, 0) } else { Decimal::join(0, value) };
                let money = key.starts_with(|first: char| first.is_ascii_uppercase());
                let sums = if money { &mut self.costs } else { &mut self.sums };
                *sums.entry(key.to_owned()).or_default() += quantity;
            }
        }
    }

    /// The value of a metric.
    pub fn metric(&self, key: &str) -> Decimal {
        let gauge = self.gauges.get(key).map(|gauge| gauge.value);
        gauge.or_else(|| self.sums.get(key).copied()).unwrap_or_default()
    }

    /// Every metric with its value.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, Decimal)> {
        let sums = self.sums.iter().map(|(key, value)| (key.as_str(), *value));
        sums.chain(self.gauges.iter().map(|(key, gauge)| (key.as_str(), gauge.value)))
    }

    /// The cost in minor units; in one currency, or whatever there is.
    pub fn cost(&self, currency: Option<&str>) -> Decimal {
        match currency {
            Some(currency) => self.costs.get(currency).copied().unwrap_or_default(),
            None => self.costs.values().copied().sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Increments, Totals};
    use crate::decimal::Decimal;
    use crate::model::Counter;

    proptest! {
        /// Whatever the order and the number of writes, a counter is the sum of its events.
        #[test]
        fn counters_are_the_sum_of_their_events(
            events in prop::collection::vec((0_i128..10_i128.pow(15), 0_i128..10_i128.pow(12), any::<bool>()), 0..40),
            shards in 1_usize..9,
        ) {
            let mut counters = vec![Increments::default(); shards];
            for (index, (tokens, cost, unpriced)) in events.iter().enumerate() {
                let mut one = Increments::default();
                one.event(*unpriced);
                one.quantity("tokens", Decimal::from_millionths(*tokens));
                one.quantity("EUR", Decimal::from_millionths(*cost));
                counters[index % shards].merge(&one);
            }
            let mut totals = Totals::default();
            for Increments(values) in counters {
                let (series, category_code) = (String::new(), String::new());
                let start = coder_core::Timestamp::UNIX_EPOCH;
                totals.add(&Counter { series, start, category_code, values, gauges: BTreeMap::new() });
            }
            prop_assert_eq!(totals.metric("tokens").millionths(), events.iter().map(|event| event.0).sum::<i128>());
            prop_assert_eq!(totals.cost(Some("EUR")).millionths(), events.iter().map(|event| event.1).sum::<i128>());
            prop_assert_eq!(totals.cost(None), totals.cost(Some("EUR")));
            prop_assert_eq!(usize::try_from(totals.events).unwrap(), events.len());
            prop_assert_eq!(usize::try_from(totals.unpriced).unwrap(), events.iter().filter(|event| event.2).count());
        }
    }
}
