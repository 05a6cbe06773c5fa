//! Every night: days unlike those before, by the modified z-score of Iglewicz and Hoaglin, in whole numbers.

use std::collections::{BTreeMap, BTreeSet};

use coder_core::{OrganizationId, Result, Timestamp};
use coder_database::Filter;
use coder_handler::{Cause, Invocation};
use serde_json::json;

use crate::decimal::{Decimal, Quantity};
use crate::model::{Alert, AlertKind, AlertState, Severity};
use crate::period::{Granularity, Period, Span, days_before};
use crate::series::Whose;
use crate::service::{COST, Named, Setup, Usage, everywhere, owner};
use crate::totals::Totals;

/// Days that a day is compared with.
const DAYS: i64 = 28;
/// The fewest of them that must have use.
const LEAST_DAYS: usize = 14;

/// Totals of each day by category.
type Days = BTreeMap<String, BTreeMap<Timestamp, Totals>>;

/// Alerts to what was unusual yesterday.
pub async fn anomalies(usage: Usage, run: Invocation) -> Result<()> {
    let day = Period::Day.containing(days_before(usage.now(), 1));
    let series = Whose::Organization.series(Granularity::Day);
    let yesterdays = Filter::eq("series", series).and(Filter::eq("start", json!(day.from)));
    let counters = everywhere(&usage.counters, &run.job, yesterdays).await?;
    let organizations: BTreeSet<OrganizationId> =
        counters.iter().map(|(partition, _)| owner(partition)).collect::<Result<_>>()?;
    for organization_id in organizations {
        look(&usage, &run, organization_id, day).await?;
    }
    Ok(())
}

async fn look(usage: &Usage, run: &Invocation, organization_id: OrganizationId, day: Span) -> Result<()> {
    let setup = usage.setup(organization_id).await?;
    let named = Named::Exactly(Whose::Organization.series(Granularity::Day));
    let span = Span { from: days_before(day.from, DAYS), to: day.to };
    let mut days = Days::new();
    for counter in usage.counted(organization_id, &named, span).await? {
        let category = days.entry(counter.data.category_code.clone()).or_default();
        category.entry(counter.data.start).or_default().add(&counter.data);
    }
    for (code, days) in &days {
        for metric in watched(&setup, code) {
            let value =
                |totals: &Totals| if metric == COST { totals.cost(None) } else { totals.metric(&metric) };
            let Some(today) = days.get(&day.from).map(value) else { continue };
            let before: Vec<Decimal> = days.range(..day.from).map(|(_, totals)| value(totals)).collect();
            let Some(expected) = unusual(today, before) else { continue };
            let alert = alert(code, &metric, today, expected, day);
            let event = json!({
                "categoryCode": code, "metric": metric, "value": Quantity(today), "expected": Quantity(expected),
                "day": day.from,
            });
            let event = Some(("anomaly.detected", event));
            usage.open_alert(Cause::Job(run), organization_id, alert, event).await?;
        }
    }
    Ok(())
}

/// What is looked at in a category: its cost and its primary metric.
fn watched(setup: &Setup, code: &str) -> Vec<String> {
    let primary = setup.category(code).map(|category| category.primary_metric.clone());
    std::iter::once(COST.to_owned()).chain(primary).collect()
}

fn alert(code: &str, metric: &str, today: Decimal, expected: Decimal, day: Span) -> Alert {
    Alert {
        kind: AlertKind::Anomaly,
        severity: Severity::Warning,
        state: AlertState::Active,
        subject_id: code.to_owned(),
        user_id: None,
        metric: metric.to_owned(),
        current_value: Quantity(today),
        threshold_value: Quantity(expected),
        period_start: day.from,
        period_end: Period::Week.containing(day.to).to,
    }
}

/// The median of the days before, if this day is far above them.
fn unusual(today: Decimal, before: Vec<Decimal>) -> Option<Decimal> {
    if before.len() < LEAST_DAYS {
        return None;
    }
    let middle = median(before.iter().map(|value| value.millionths()).collect());
    // Medians are kept doubled, since that of an even number of values may be a half.
    let distance = today.millionths() * 2 - middle;
    let deviation = median(before.iter().map(|value| (value.millionths() * 2 - middle).abs()).collect());
    // `deviation` is doubled twice. 0.6745 · distance / deviation > 3.5, without a division.
    let far = deviation == 0 || 6_745 * distance * 2 > 35_000 * deviation;
    let double = today.millionths() >= middle && distance > 0;
    (far && double).then(|| Decimal::from_millionths(middle / 2))
}

/// Twice the median.
fn median(mut values: Vec<i128>) -> i128 {
    values.sort_unstable();
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (1, Some(value)) => value * 2,
        (_, Some(value)) => value + values.get(middle.saturating_sub(1)).copied().unwrap_or(*value),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{median, unusual};
    use crate::decimal::Decimal;

    fn look(today: i64, before: impl IntoIterator<Item = i64>) -> Option<i64> {
        unusual(Decimal::from_units(today), before.into_iter().map(Decimal::from_units).collect())
            .map(Decimal::rounded)
    }

    #[test]
    fn medians_are_doubled() {
        assert_eq!([median(vec![3, 1, 2]), median(vec![4, 1, 2, 3]), median(vec![7])], [4, 5, 14]);
    }

    #[test]
    fn a_day_is_unusual_that_is_far_above_the_others() {
        // Median 10, MAD 2: the score of x is 0.6745 · (x − 10) / 2, above 3.5 from 20.38 on.
        let days = || [8, 12].into_iter().cycle().take(28);
        assert_eq!((look(20, days()), look(21, days())), (None, Some(10)));
        // Without any deviation twice the median decides.
        assert_eq!((look(19, [10; 14]), look(20, [10; 14])), (None, Some(10)));
        assert_eq!(look(1_000, [10; 13]), None);
        assert_eq!((look(0, [0; 14]), look(5, [0; 14])), (None, Some(0)));
        // Far above by the score, but less than twice the median.
        assert_eq!(look(1_500, [1_000, 1_001].into_iter().cycle().take(28)), None);
        assert_eq!(look(1, days()), None);
    }
}
