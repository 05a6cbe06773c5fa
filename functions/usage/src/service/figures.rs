//! Reading counters: what a series used in a span of time, by category.

use std::collections::BTreeMap;

use coder_core::{Code, OrganizationId, Problem, Result, Timestamp};
use coder_database::{Filter, Query, Record};
use serde_json::json;

use super::rules::{COST, Rule};
use super::{Ask, Usage};
use crate::decimal::Decimal;
use crate::model::{Counter, month};
use crate::pattern::covers;
use crate::period::{Granularity, Span};
use crate::series::Whose;
use crate::totals::Totals;

/// Counters that one question reads at most.
const MAX_COUNTERS: usize = 200_000;

/// Which series.
#[derive(Debug, Clone)]
pub enum Named {
    /// This one.
    Exactly(String),
    /// All that begin so.
    Beginning(String),
}

/// Totals by category.
pub type Figures = BTreeMap<String, Totals>;

impl Usage {
    /// The counters of some series that begin in the span.
    pub async fn counted(
        &self,
        organization_id: OrganizationId,
        named: &Named,
        span: Span,
    ) -> Result<Vec<Record<Counter>>> {
        let series = match named {
            Named::Exactly(series) => Filter::eq("series", series.as_str()),
            Named::Beginning(text) => Filter::StartsWith("series".to_owned(), text.clone()),
        };
        let time = |at: Timestamp| json!(at);
        let filter = series
            .and(Filter::Ge("start".to_owned(), time(span.from)))
            .and(Filter::Lt("start".to_owned(), time(span.to)));
        let mut found = Vec::new();
        for bucket in span.months() {
            let mut query = Query::new(filter.clone()).limit(1000);
            loop {
                let (page, next) = self.counters.page(&month(organization_id, bucket), &query).await?;
                found.extend(page);
                if found.len() > MAX_COUNTERS {
                    let detail = "The question reads too many counters; narrow its range.";
                    return Err(Problem::new(Code::TooManyRows, detail).into());
                }
                match next {
                    Some(next) => query.continuation = Some(next),
                    None => break,
                }
            }
        }
        Ok(found)
    }

    /// What a series used, by category.
    pub async fn figures(
        &self,
        organization_id: OrganizationId,
        whose: &Whose,
        granularity: Granularity,
        span: Span,
    ) -> Result<Figures> {
        let named = Named::Exactly(whose.series(granularity));
        let mut figures = Figures::new();
        for counter in self.counted(organization_id, &named, span).await? {
            figures.entry(counter.data.category_code.clone()).or_default().add(&counter.data);
        }
        Ok(figures)
    }

    /// What counts towards a rule in the period of `now`.
    pub async fn used(
        &self,
        organization_id: OrganizationId,
        rule: &Rule,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Decimal> {
        let span = rule.period.containing(now);
        let whose = rule.whose(&ask.subject);
        let figures = self.figures(organization_id, &whose, rule.period.counters(), span).await?;
        Ok(counting(&figures, rule))
    }
}

/// The part of the figures that counts towards a rule.
fn counting(figures: &Figures, rule: &Rule) -> Decimal {
    let covered = figures.iter().filter(|(code, _)| covers(&rule.pattern, code));
    let value = |totals: &Totals| match rule.metric.as_str() {
        COST => totals.cost(rule.currency.as_deref()),
        metric => totals.metric(metric),
    };
    covered.map(|(_, totals)| value(totals)).sum()
}
