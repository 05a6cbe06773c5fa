//! Rating: which price holds for an event, and what the event costs.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use coder_core::Timestamp;

use crate::decimal::{Decimal, divide_half_even, round_half_even};
use crate::model::{Dimensions, Price, PriceId, PriceModel, Tier, fits};

/// Quantities by metric.
pub type Metrics = BTreeMap<String, Decimal>;

/// A price with its id.
pub type Listed = (PriceId, Price);

/// Millionths in one.
const SCALE: i128 = 1_000_000;

/// The price that holds among these: most dimension filters first, then the nearest category, then the latest.
/// `lineage` is the category's code, then those above it.
pub fn choose<'a>(
    prices: &'a [Listed],
    lineage: &[String],
    dimensions: &Dimensions,
    at: Timestamp,
) -> Option<&'a Listed> {
    let candidates = prices.iter().filter_map(|listed| {
        let price = &listed.1;
        let distance = lineage.iter().position(|code| *code == price.category_code)?;
        let holds = price.holds_at(at) && fits(&price.dimension_filters, dimensions);
        holds.then_some(((price.dimension_filters.len(), Reverse(distance), price.effective_from), listed))
    });
    candidates.max_by_key(|(rank, _)| *rank).map(|(_, listed)| listed)
}

/// Whether the two could hold for the same event with nothing to choose between them.
pub fn overlap(one: &Price, other: &Price) -> bool {
    let both =
        |key: &String, value: &String| other.dimension_filters.get(key).is_none_or(|theirs| theirs == value);
    let before = |end: Option<Timestamp>, start: Timestamp| end.is_some_and(|end| end <= start);
    one.category_code == other.category_code
        && one.dimension_filters.len() == other.dimension_filters.len()
        && one.dimension_filters.iter().all(|(key, value)| both(key, value))
        && !before(one.effective_to, other.effective_from)
        && !before(other.effective_to, one.effective_from)
}

/// How far the month is, for prices that depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The quantity of the price's metric before the event.
    pub quantity: Decimal,
    /// The events before it.
    pub events: i64,
}

/// The cost of an event in minor units, half-even at six decimals.
pub fn cost(price: &Price, metrics: &Metrics, month: Standing) -> Decimal {
    let quantity = quantity(price, metrics);
    match price.model {
        PriceModel::Components => components(price, metrics),
        PriceModel::Graduated => graduated(&price.tiers, month.quantity, quantity),
        PriceModel::Volume => volume(&price.tiers, month.quantity + quantity, quantity),
        PriceModel::Package => package(&price.tiers, month.quantity, quantity),
        PriceModel::Flat if month.events == 0 => {
            price.tiers.first().map_or(Decimal::ZERO, |tier| tier.amount)
        }
        PriceModel::Flat | PriceModel::Free => Decimal::ZERO,
    }
}

/// The quantity that the tiers of a price look at.
pub fn quantity(price: &Price, metrics: &Metrics) -> Decimal {
    price.metric.as_ref().and_then(|metric| metrics.get(metric)).copied().unwrap_or_default()
}

/// Each division leaves a rest; the rests are added over their common denominator, so that only the sum is rounded.
fn components(price: &Price, metrics: &Metrics) -> Decimal {
    /// Divided by every `per`: 2^30 · 5^6.
    const COMMON: i128 = 1_073_741_824 * 15_625;
    let (mut whole, mut rest) = (0, 0);
    for component in &price.components {
        let quantity = metrics.get(&component.metric).copied().unwrap_or_default();
        let product = quantity.millionths() * component.amount.millionths();
        let per = i128::from(component.per.max(1));
        whole += product / (per * SCALE);
        rest += product % (per * SCALE) * (COMMON / per);
    }
    let denominator = COMMON * SCALE;
    Decimal::from_millionths(round_half_even(whole + rest / denominator, rest % denominator, denominator))
}

fn graduated(tiers: &[Tier], before: Decimal, quantity: Decimal) -> Decimal {
    let (mut sum, mut from, end) = (0, before, before + quantity);
    for tier in tiers {
        let top = tier.up_to.map_or(end, |up_to| up_to.0.min(end));
        if top > from {
            sum += (top - from).millionths() * tier.amount.millionths();
            from = top;
        }
    }
    Decimal::from_millionths(divide_half_even(sum, SCALE))
}

/// The cost of `quantity` where the month's total is `total`.
pub fn volume(tiers: &[Tier], total: Decimal, quantity: Decimal) -> Decimal {
    let tier = tiers.iter().find(|tier| tier.up_to.is_none_or(|up_to| total <= up_to.0));
    tier.map_or(Decimal::ZERO, |tier| quantity.times_ratio(tier.amount.millionths(), SCALE))
}

fn package(tiers: &[Tier], before: Decimal, quantity: Decimal) -> Decimal {
    let Some((tier, size)) = tiers.first().and_then(|tier| Some((tier, tier.up_to?.0.millionths().max(1))))
    else {
        return Decimal::ZERO;
    };
    let begun = |quantity: Decimal| (quantity.millionths() + size - 1) / size;
    let packages = begun(before + quantity) - begun(before);
    Decimal::from_millionths(packages * tier.amount.millionths())
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use coder_core::id::Uuid;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Metrics, Standing, choose, cost, overlap, volume};
    use crate::decimal::Decimal;
    use crate::model::{Dimensions, Price};

    fn price(more: Value) -> Price {
        let mut body = json!({
            "categoryCode": "ai.completion", "model": "components", "currency": "EUR",
            "effectiveFrom": "2026-01-01T00:00:00Z",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(body).unwrap()
    }

    fn metrics(pairs: &[(&str, &str)]) -> Metrics {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), Decimal::parse(value).unwrap())).collect()
    }

    fn at(quantity: &str) -> Standing {
        Standing { quantity: Decimal::parse(quantity).unwrap(), events: 0 }
    }

    fn component(metric: &str, amount: &str, per: u32) -> Value {
        json!({"metric": metric, "amount": amount, "per": per})
    }

    fn tiers(model: &str, tiers: Value) -> Price {
        price(json!({"model": model, "metric": "tokens", "tiers": tiers}))
    }

    #[test]
    fn components_are_added_before_they_are_rounded() {
        let million = 1_000_000;
        let price_of = |components: Value| price(json!({"components": components}));
        let tokens = price_of(json!([component("in", "250", million), component("out", "1000", million)]));
        let used = metrics(&[("in", "1500"), ("out", "500")]);
        assert_eq!(cost(&tokens, &used, Standing::default()).to_string(), "0.875000");
        // Two halves of a millionth make one; each alone would be rounded to the even neighbour, nothing.
        let halves = price_of(json!([component("in", "0.5", million), component("out", "0.5", million)]));
        let one = metrics(&[("in", "1"), ("out", "1")]);
        assert_eq!(cost(&halves, &one, Standing::default()).to_string(), "0.000001");
        assert_eq!(cost(&halves, &metrics(&[("in", "1")]), Standing::default()).to_string(), "0.000000");
        assert_eq!(cost(&halves, &metrics(&[("in", "3")]), Standing::default()).to_string(), "0.000002");
        let largest = price_of(json!([
            component("in", "1000000000000", 1),
            component("out", "0.000001", 1_073_741_824)
        ]));
        let used = metrics(&[("in", "1000000000000"), ("out", "1000000000000")]);
        assert_eq!(
            cost(&largest, &used, Standing::default()).to_string(),
            "1000000000000000000000000.000931"
        );
    }

    #[test]
    fn graduated_units_cost_what_their_tier_says() {
        let price = tiers("graduated", json!([{"upTo": 100, "amount": "2"}, {"upTo": null, "amount": "1"}]));
        let cost = |quantity, before| cost(&price, &metrics(&[("tokens", quantity)]), at(before)).to_string();
        assert_eq!(cost("80", "0"), "160.000000");
        assert_eq!(cost("40", "80"), "60.000000");
        assert_eq!(cost("10", "100"), "10.000000");
        assert_eq!(cost("300", "0"), "400.000000");
        assert_eq!(cost("0", "50"), "0.000000");
        assert_eq!(cost("0.5", "99.75"), "0.750000");
    }

    #[test]
    fn volume_packages_and_flat_prices_look_at_the_month() {
        let tiered = tiers("volume", json!([{"upTo": 100, "amount": "2"}, {"upTo": null, "amount": "1"}]));
        let units = Decimal::from_units;
        assert_eq!(volume(&tiered.tiers, units(100), units(100)), units(200));
        assert_eq!(volume(&tiered.tiers, units(101), units(101)), units(101));
        let package = tiers("package", json!([{"upTo": 1000, "amount": "5"}]));
        let of = |quantity, before| cost(&package, &metrics(&[("tokens", quantity)]), at(before)).to_string();
        assert_eq!(
            (of("1", "0"), of("999", "1"), of("1", "1000")),
            ("5.000000".into(), "0.000000".into(), "5.000000".into())
        );
        assert_eq!(of("2001", "0"), "15.000000");
        let flat = tiers("flat", json!([{"upTo": null, "amount": "900"}]));
        let of =
            |events| cost(&flat, &Metrics::new(), Standing { quantity: Decimal::ZERO, events }).to_string();
        assert_eq!((of(0), of(1)), ("900.000000".into(), "0.000000".into()));
    }

    #[test]
    fn the_most_particular_price_is_chosen() {
        let id = |number| Uuid::from_u128(number).into();
        let model = |value: &str| json!({"dimensionFilters": {"model": value}});
        let parent = json!({"categoryCode": "ai"});
        let later = json!({"effectiveFrom": "2026-02-01T00:00:00Z"});
        let ended =
            json!({"dimensionFilters": {"model": "m", "x": "y"}, "effectiveTo": "2026-01-02T00:00:00Z"});
        let bodies = [parent, json!({}), later, model("m"), ended];
        let prices: Vec<_> =
            bodies.into_iter().zip(1..).map(|(body, number)| (id(number), price(body))).collect();
        let lineage = ["ai.completion".to_owned(), "ai".to_owned()];
        let chosen = |lineage: &[String], dimensions: Value, time: &str| {
            let dimensions: Dimensions = serde_json::from_value(dimensions).unwrap();
            choose(&prices, lineage, &dimensions, time.parse().unwrap()).map(|(id, _)| id.uuid().as_u128())
        };
        assert_eq!(chosen(&lineage, json!({}), "2026-01-05T00:00:00Z"), Some(2));
        assert_eq!(chosen(&lineage, json!({}), "2026-02-05T00:00:00Z"), Some(3));
        assert_eq!(chosen(&lineage, json!({"model": "m"}), "2026-02-05T00:00:00Z"), Some(4));
        assert_eq!(chosen(&lineage, json!({"model": "m", "x": "y"}), "2026-01-01T12:00:00Z"), Some(5));
        assert_eq!(chosen(&lineage[1..], json!({}), "2026-01-05T00:00:00Z"), Some(1));
        assert_eq!(chosen(&lineage, json!({}), "2025-12-31T00:00:00Z"), None);
        assert_eq!(chosen(&["other".to_owned()], json!({}), "2026-01-05T00:00:00Z"), None);
    }

    #[test]
    fn prices_overlap_where_nothing_decides_between_them() {
        let ended = price(json!({"effectiveTo": "2026-02-01T00:00:00Z"}));
        let next = price(json!({"effectiveFrom": "2026-02-01T00:00:00Z"}));
        assert!(!overlap(&ended, &next) && !overlap(&next, &ended));
        assert!(overlap(&ended, &price(json!({}))) && overlap(&price(json!({})), &ended));
        let of = |key: &str, value: &str| price(json!({"dimensionFilters": {key: value}}));
        assert!(overlap(&of("model", "a"), &of("provider", "b")));
        assert!(!overlap(&of("model", "a"), &of("model", "b")));
        assert!(!overlap(&of("model", "a"), &price(json!({}))));
        assert!(!overlap(&price(json!({"categoryCode": "ai"})), &price(json!({}))));
        assert!(price(json!({})).holds_at(Timestamp::from_second(1_800_000_000).unwrap()));
    }

    proptest! {
        /// However the month's use is cut into events, graduated prices and packages cost the same.
        #[test]
        fn cutting_use_into_events_changes_nothing(cuts in prop::collection::vec(0_u32..5000, 1..20)) {
            let graduated = tiers("graduated", json!([
                {"upTo": 100, "amount": "2"}, {"upTo": 5000, "amount": "1.5"}, {"upTo": null, "amount": "0.25"},
            ]));
            let package = tiers("package", json!([{"upTo": 700, "amount": "3"}]));
            for price in [graduated, package] {
                let (mut before, mut sum) = (Decimal::ZERO, Decimal::ZERO);
                for cut in &cuts {
                    let quantity = Decimal::from_units(i64::from(*cut));
                    let used = Metrics::from([("tokens".to_owned(), quantity)]);
                    sum += cost(&price, &used, Standing { quantity: before, events: 0 });
                    before += quantity;
                }
                let all = Metrics::from([("tokens".to_owned(), before)]);
                prop_assert_eq!(sum, cost(&price, &all, Standing::default()));
            }
        }
    }
}
