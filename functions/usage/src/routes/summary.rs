//! What a range of days used and cost, beside the range before it.

use std::collections::BTreeMap;

use coder_core::{Code, Failure, ProjectId, Result, TeamId, Timestamp, UserId};
use coder_handler::Routes;
use coder_middleware::{Example, Json, Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Reader;
use crate::decimal::{Decimal, Quantity};
use crate::period::{Granularity, Period, Span, days_before, earlier};
use crate::series::Whose;
use crate::service::{Figures, Usage};

/// The longest range, in days.
const MAX_DAYS: i64 = 365;

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes.get("/summary", "get_usage_summary", "Sum up some days, beside those before them", summary)
}

/// Which days, and whose use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SummaryOf {
    /// The first day; the first of the month if left out.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// The end of the last day; now if left out.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub to: Option<Timestamp>,
    /// Only this person's.
    pub user_id: Option<UserId>,
    /// Only this team's.
    pub team_id: Option<TeamId>,
    /// Only this project's.
    pub project_id: Option<ProjectId>,
}

/// What some days used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The beginning of the first day.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub from: Timestamp,
    /// The end of the last day.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub to: Timestamp,
    /// ISO 4217; null without any price.
    #[schemars(length(max = 3))]
    pub currency: Option<String>,
    /// How many events.
    pub events: i64,
    /// How many of them had no price.
    pub unpriced_events: i64,
    /// Minor units.
    pub cost: Decimal,
    /// Minor units in as many days before.
    pub previous_cost: Decimal,
    /// The change of the cost, in percent; null if there was none before.
    pub change_percent: Option<Quantity>,
    /// By category.
    pub categories: Vec<CategorySummary>,
}

/// What some days used of one category.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategorySummary {
    /// The category.
    pub category_code: String,
    /// How many events.
    pub events: i64,
    /// How much of each metric.
    pub metrics: BTreeMap<String, Quantity>,
    /// Minor units.
    pub cost: Decimal,
    /// Minor units in as many days before.
    pub previous_cost: Decimal,
}

impl Example for Summary {
    fn example() -> Self {
        let cost = Decimal::from_millionths(875_000);
        let category = CategorySummary {
            category_code: "ai.completion".to_owned(),
            events: 1,
            metrics: BTreeMap::from([("inputTokens".to_owned(), Quantity(Decimal::from_units(1500)))]),
            cost,
            previous_cost: Decimal::ZERO,
        };
        Self {
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
            currency: Some("EUR".to_owned()),
            events: 1,
            unpriced_events: 0,
            cost,
            previous_cost: Decimal::ZERO,
            change_percent: None,
            categories: vec![category],
        }
    }
}

async fn summary(
    State(usage): State<Usage>,
    who: Reader,
    Query(asked): Query<SummaryOf>,
) -> Result<Json<Summary>> {
    let span = days(&asked, usage.now())?;
    let user_id = who.narrowed(asked.user_id, false);
    let whose = match (user_id, asked.team_id, asked.project_id) {
        (None, None, None) => Whose::Organization,
        (Some(id), None, None) => Whose::User(Some(id)),
        (None, Some(id), None) => Whose::Team(Some(id)),
        (None, None, Some(id)) => Whose::Project(Some(id)),
        _ => {
            let detail =
                "Sum up by one of `userId`, `teamId` and `projectId`; `POST /api/usage/query` takes more.";
            return Err(Failure::problem(Code::InvalidQuery, detail));
        }
    };
    let (id, day) = (who.organization_id, Granularity::Day);
    let figures = usage.figures(id, &whose, day, span).await?;
    let before = usage.figures(id, &whose, day, span.before()).await?;
    let setup = usage.setup(id).await?;
    Ok(Json(sum_up(span, setup.currency(), &figures, &before)))
}

/// The whole days that are asked for.
fn days(asked: &SummaryOf, now: Timestamp) -> Result<Span> {
    let to = asked.to.unwrap_or(now);
    let from = asked.from.unwrap_or_else(|| Period::Month.containing(to).from);
    if from >= to || from < days_before(to, MAX_DAYS) {
        let detail = format!("`from` lies before `to`, at most {MAX_DAYS} days.");
        return Err(Failure::problem(Code::InvalidQuery, detail));
    }
    let last = earlier(to, jiff::SignedDuration::from_millis(1));
    Ok(Span { from: Period::Day.containing(from).from, to: Period::Day.containing(last).to })
}

fn sum_up(span: Span, currency: Option<&str>, figures: &Figures, before: &Figures) -> Summary {
    let total = |figures: &Figures| -> Decimal { figures.values().map(|totals| totals.cost(None)).sum() };
    let (cost, previous_cost) = (total(figures), total(before));
    let change = (cost - previous_cost).percent_of(previous_cost);
    let categories = figures.iter().map(|(code, totals)| CategorySummary {
        category_code: code.clone(),
        events: totals.events,
        metrics: totals.metrics().map(|(key, value)| (key.to_owned(), Quantity(value))).collect(),
        cost: totals.cost(None),
        previous_cost: before.get(code).map(|totals| totals.cost(None)).unwrap_or_default(),
    });
    Summary {
        from: span.from,
        to: span.to,
        currency: currency.map(str::to_owned),
        events: figures.values().map(|totals| totals.events).sum(),
        unpriced_events: figures.values().map(|totals| totals.unpriced).sum(),
        cost,
        previous_cost,
        change_percent: (previous_cost > Decimal::ZERO).then_some(Quantity(change)),
        categories: categories.collect(),
    }
}
