//! Every quarter of an hour: where budgets stand, and where they will.

use coder_core::{OrganizationId, Result, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::{Cause, Invocation};
use serde_json::{Value, json};

use crate::decimal::{Decimal, Quantity};
use crate::model::{Alert, AlertKind, AlertState, Budget, Severity};
use crate::pattern::covers;
use crate::period::Span;
use crate::service::{Ask, COST, Figures, Rule, Usage, everywhere, owner};

/// The part of a period, one in so many, from which on its end is forecast.
const FORECAST_FROM: i128 = 10;

/// Opens the alerts of budgets.
pub async fn budgets(usage: Usage, run: Invocation) -> Result<()> {
    for (partition, budget) in everywhere(&usage.budgets, &run.job, Filter::eq("active", true)).await? {
        look(&usage, &run, owner(&partition)?, &budget).await?;
    }
    Ok(())
}

async fn look(
    usage: &Usage,
    run: &Invocation,
    organization_id: OrganizationId,
    budget: &Record<Budget>,
) -> Result<()> {
    let spending = Spending::of(usage, organization_id, budget, usage.now()).await?;
    let percent = percent_spent(&spending, &budget.data);
    let amount = Decimal::from_units(budget.data.amount_minor);
    for threshold in &budget.data.thresholds {
        if percent < Decimal::from_units(i64::from(*threshold)) {
            continue;
        }
        let exceeded = *threshold >= 100;
        let severity = if exceeded { Severity::Critical } else { Severity::Warning };
        let value = amount.percent(*threshold);
        let alert = alert(budget, &spending, AlertKind::BudgetThreshold, severity, spending.spent, value);
        let name = if exceeded { "budget.exceeded" } else { "budget.warned" };
        let event = (name, event(budget, &spending, percent));
        usage.open_alert(Cause::Job(run), organization_id, alert, Some(event)).await?;
    }
    let projected = spending.projected.filter(|projected| budget.data.forecast_alert && *projected > amount);
    if let Some(projected) = projected {
        let alert = alert(budget, &spending, AlertKind::BudgetForecast, Severity::Warning, projected, amount);
        let mut event = event(budget, &spending, percent);
        event["projectedMinor"] = json!(projected.rounded());
        let event = ("budget.warned", event);
        usage.open_alert(Cause::Job(run), organization_id, alert, Some(event)).await?;
    }
    Ok(())
}

/// What a budget has spent in its present period.
#[derive(Debug, Clone)]
pub(crate) struct Spending {
    /// The period.
    pub(crate) span: Span,
    /// Minor units.
    pub(crate) spent: Decimal,
    /// Minor units at the end of the period, if it goes on so; not shown early in a period.
    pub(crate) projected: Option<Decimal>,
    /// Minor units by category.
    pub(crate) by_category: Vec<(String, Decimal)>,
}

impl Spending {
    /// Reads what was spent.
    pub(crate) async fn of(
        usage: &Usage,
        organization_id: OrganizationId,
        budget: &Record<Budget>,
        now: Timestamp,
    ) -> Result<Self> {
        let rule = Rule::of_budget(budget);
        let span = rule.period.containing(now);
        let whose = rule.whose(&Ask::default().subject);
        let figures: Figures = usage.figures(organization_id, &whose, rule.period.counters(), span).await?;
        let covered = figures.iter().filter(|(code, _)| covers(&rule.pattern, code));
        let costs = covered.map(|(code, totals)| (code.clone(), totals.cost(Some(&budget.data.currency))));
        let by_category: Vec<(String, Decimal)> = costs.filter(|(_, cost)| *cost > Decimal::ZERO).collect();
        let spent = by_category.iter().map(|(_, cost)| *cost).sum();
        Ok(Self { span, spent, projected: forecast(spent, span, now), by_category })
    }
}

/// What will be spent at the end of the span, if it goes on so.
fn forecast(spent: Decimal, span: Span, now: Timestamp) -> Option<Decimal> {
    let whole = span.to.duration_since(span.from).as_millis();
    let elapsed = now.duration_since(span.from).as_millis();
    (elapsed > 0 && elapsed * FORECAST_FROM >= whole).then(|| spent.times_ratio(whole, elapsed))
}

/// How much of a budget is spent, in percent.
pub(crate) fn percent_spent(spending: &Spending, budget: &Budget) -> Decimal {
    spending.spent.percent_of(Decimal::from_units(budget.amount_minor))
}

fn alert(
    budget: &Record<Budget>,
    spending: &Spending,
    kind: AlertKind,
    severity: Severity,
    value: Decimal,
    threshold: Decimal,
) -> Alert {
    Alert {
        kind,
        severity,
        state: AlertState::Active,
        subject_id: budget.meta.id.clone(),
        user_id: None,
        metric: COST.to_owned(),
        current_value: Quantity(value),
        threshold_value: Quantity(threshold),
        period_start: spending.span.from,
        period_end: spending.span.to,
    }
}

fn event(budget: &Record<Budget>, spending: &Spending, percent: Decimal) -> Value {
    json!({
        "budgetId": budget.meta.id, "percent": Quantity(percent), "spentMinor": spending.spent.rounded(),
        "currency": budget.data.currency, "action": budget.data.action,
    })
}

#[cfg(test)]
mod tests {
    use super::forecast;
    use crate::decimal::Decimal;
    use crate::period::Period;

    #[test]
    fn forecasts_begin_when_a_tenth_is_over() {
        let span = Period::Month.containing("2026-04-10T00:00:00Z".parse().unwrap());
        let at = |time: &str| forecast(Decimal::from_units(300), span, time.parse().unwrap());
        assert_eq!(at("2026-04-01T00:00:00Z"), None);
        assert_eq!(at("2026-04-03T23:59:59Z"), None);
        assert_eq!(at("2026-04-04T00:00:00Z"), Some(Decimal::from_units(3000)));
        assert_eq!(at("2026-04-16T00:00:00Z"), Some(Decimal::from_units(600)));
    }
}
