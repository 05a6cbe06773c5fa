//! Questions about use over time: answered from counters where they have what is asked, else from the events.

use std::collections::{BTreeMap, BTreeSet};

use coder_core::{Code, Fault, Problem, ProjectId, Result, TeamId, Timestamp, UserId};
use coder_database::{Filter, Partition, Query};
use coder_handler::Routes;
use coder_middleware::{Body, Example, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::faults::Faults;
use crate::access::Reader;
use crate::decimal::{Decimal, Quantity};
use crate::model::{Aggregation, Dimensions, Gauge, RETENTION_DAYS, UsageEvent};
use crate::pattern::{self, covers};
use crate::period::{Granularity, Period, Span, days_before};
use crate::series::{self, Whose};
use crate::service::{Named, Setup, Usage};
use crate::totals::Totals;

/// Rows of an answer.
const MAX_ROWS: usize = 10_000;
/// Events that one question reads.
const MAX_EVENTS: usize = 100_000;

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes
        .post("/query", "query_usage", "Ask what was used over time, by whom and for what", query)
        .problems([Code::TooManyRows])
}

/// A question about use.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageQuestion {
    /// From when on; the whole hour, day, week or month that it is in.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub from: Timestamp,
    /// Until when; the whole hour, day, week or month that it is in.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub to: Timestamp,
    /// One row for each of these.
    pub granularity: Step,
    /// A category code, one with all below it (`ai.*`), or `*`.
    #[serde(default = "everything")]
    #[schemars(regex(pattern = pattern::PATTERN), length(max = 66))]
    pub category_pattern: String,
    /// Only this use.
    #[serde(default)]
    pub filters: UsageFilters,
    /// Up to three of `category`, `userId`, `teamId`, `projectId` or a dimension.
    #[serde(default)]
    #[schemars(length(max = 3), inner(length(min = 1, max = 40)), extend("uniqueItems" = true))]
    pub group_by: Vec<String>,
    /// Only these metrics; all if left out.
    #[serde(default)]
    #[schemars(length(max = 20), inner(length(min = 1, max = 40)))]
    pub metrics: Vec<String>,
}

/// Which use.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageFilters {
    /// The person's.
    pub user_id: Option<UserId>,
    /// The team's.
    pub team_id: Option<TeamId>,
    /// The project's.
    pub project_id: Option<ProjectId>,
    /// With these dimensions.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub dimensions: Dimensions,
}

/// The length of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Step {
    Hour,
    Day,
    Week,
    Month,
}

impl Step {
    fn period(self) -> Period {
        match self {
            Self::Hour => Period::Hour,
            Self::Day => Period::Day,
            Self::Week => Period::Week,
            Self::Month => Period::Month,
        }
    }

    /// The longest range, in days.
    fn most_days(self) -> i64 {
        match self {
            Self::Hour => 31,
            Self::Day => 366,
            Self::Week => 731,
            Self::Month => 3_660,
        }
    }
}

/// Rows by time, then by group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRows {
    /// The rows.
    pub rows: Vec<UsageRow>,
}

/// What was used in one hour, day, week or month by one group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// When the time begins.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub start: Timestamp,
    /// The value of each field that is grouped by; null where use has none.
    pub group: BTreeMap<String, Option<String>>,
    /// How many events.
    pub events: i64,
    /// How much of each metric.
    pub metrics: BTreeMap<String, Quantity>,
    /// What it costs, in minor units.
    pub cost: Decimal,
}

fn everything() -> String {
    "*".to_owned()
}

impl Example for UsageQuestion {
    fn example() -> Self {
        Self {
            from: Timestamp::UNIX_EPOCH,
            to: "1970-01-08T00:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH),
            granularity: Step::Day,
            category_pattern: "ai.*".to_owned(),
            filters: UsageFilters::default(),
            group_by: vec!["category".to_owned()],
            metrics: Vec::new(),
        }
    }
}

impl Example for UsageRows {
    fn example() -> Self {
        let row = UsageRow {
            start: Timestamp::UNIX_EPOCH,
            group: BTreeMap::from([("category".to_owned(), Some("ai.completion".to_owned()))]),
            events: 2,
            metrics: BTreeMap::from([("inputTokens".to_owned(), Quantity(Decimal::from_units(1500)))]),
            cost: Decimal::from_millionths(875_000),
        };
        Self { rows: vec![row] }
    }
}

async fn query(
    State(usage): State<Usage>,
    who: Reader,
    Body(mut question): Body<UsageQuestion>,
) -> Result<Json<UsageRows>> {
    let span = check(&question)?;
    let about_people = question.group_by.iter().any(|field| field == "userId");
    question.filters.user_id = who.narrowed(question.filters.user_id, about_people);
    let rows = match question.counters() {
        Some(kind) => from_counters(&usage, &who, &question, span, kind).await?,
        None => from_events(&usage, &who, &question, span).await?,
    };
    if rows.len() > MAX_ROWS {
        return Err(too_many(format!(
            "The answer would have {} rows; at most {MAX_ROWS} are given.",
            rows.len()
        )));
    }
    let row = |((start, values), totals): ((Timestamp, Vec<Option<String>>), Sum)| {
        question.row(start, values, totals.totals)
    };
    Ok(Json(UsageRows { rows: rows.into_iter().map(row).collect() }))
}

fn too_many(detail: String) -> coder_core::Failure {
    Problem::new(Code::TooManyRows, detail).into()
}

/// The whole periods that the question covers.
fn check(question: &UsageQuestion) -> Result<Span, Problem> {
    let period = question.granularity.period();
    let mut faults = Faults::default();
    faults.unless(question.from < question.to, "/to", "too_small", "This must be after `from`.");
    let most = question.granularity.most_days();
    let short = days_before(question.to, most) <= question.from;
    faults.unless(
        short,
        "/to",
        "too_large",
        &format!("At most {most} days are asked for by this granularity."),
    );
    faults.dimensions("/filters/dimensions", &question.filters.dimensions);
    faults.finish()?;
    let last = crate::period::earlier(question.to, jiff::SignedDuration::from_millis(1));
    Ok(Span { from: period.containing(question.from).from, to: period.containing(last).to })
}

/// Which kind of series answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Organization,
    Team,
    Project,
    User,
}

impl UsageQuestion {
    /// The kind of series that has the answer; none if only the events have it.
    fn counters(&self) -> Option<Kind> {
        let of_field = |field: &str| match field {
            "category" => Some(Kind::Organization),
            "teamId" => Some(Kind::Team),
            "projectId" => Some(Kind::Project),
            "userId" => Some(Kind::User),
            _ => None,
        };
        let grouped: Option<BTreeSet<Kind>> = self.group_by.iter().map(|field| of_field(field)).collect();
        let mut kinds = grouped.filter(|_| self.filters.dimensions.is_empty())?;
        kinds.extend(self.filters.team_id.map(|_| Kind::Team));
        kinds.extend(self.filters.project_id.map(|_| Kind::Project));
        kinds.extend(self.filters.user_id.map(|_| Kind::User));
        kinds.remove(&Kind::Organization);
        match (kinds.pop_first(), kinds.is_empty()) {
            (None, _) => Some(Kind::Organization),
            (Some(kind), true) => Some(kind),
            _ => None,
        }
    }

    /// The series of that kind.
    fn named(&self, kind: Kind, granularity: Granularity) -> Named {
        let whose = match kind {
            Kind::Organization => Some(Whose::Organization),
            Kind::Team => self.filters.team_id.map(|id| Whose::Team(Some(id))),
            Kind::Project => self.filters.project_id.map(|id| Whose::Project(Some(id))),
            Kind::User => self.filters.user_id.map(|id| Whose::User(Some(id))),
        };
        let word = match kind {
            Kind::Organization => "organization",
            Kind::Team => "team",
            Kind::Project => "project",
            Kind::User => "user",
        };
        match whose {
            Some(whose) => Named::Exactly(whose.series(granularity)),
            None => Named::Beginning(series::prefix(granularity, word)),
        }
    }

    fn row(&self, start: Timestamp, values: Vec<Option<String>>, totals: Totals) -> UsageRow {
        let wanted = |key: &str| self.metrics.is_empty() || self.metrics.iter().any(|metric| metric == key);
        let metrics = totals.metrics().filter(|(key, _)| wanted(key));
        UsageRow {
            start,
            group: self.group_by.iter().cloned().zip(values).collect(),
            events: totals.events,
            metrics: metrics.map(|(key, value)| (key.to_owned(), Quantity(value))).collect(),
            cost: totals.cost(None),
        }
    }
}

/// A row that is being added up.
#[derive(Debug, Default)]
struct Sum {
    totals: Totals,
    people: BTreeSet<(String, UserId)>,
}

type Rows = BTreeMap<(Timestamp, Vec<Option<String>>), Sum>;

async fn from_counters(
    usage: &Usage,
    who: &Reader,
    question: &UsageQuestion,
    span: Span,
    kind: Kind,
) -> Result<Rows> {
    let period = question.granularity.period();
    let named = question.named(kind, period.counters());
    let mut rows = Rows::new();
    for counter in usage.counted(who.organization_id, &named, span).await? {
        let counter = counter.data;
        if !covers(&question.category_pattern, &counter.category_code) {
            continue;
        }
        let value = |field: &String| match field.as_str() {
            "category" => Some(counter.category_code.clone()),
            _ => series::tail(&counter.series).map(str::to_owned),
        };
        let values = question.group_by.iter().map(value).collect();
        rows.entry((period.containing(counter.start).from, values)).or_default().totals.add(&counter);
    }
    Ok(rows)
}

async fn from_events(usage: &Usage, who: &Reader, question: &UsageQuestion, span: Span) -> Result<Rows> {
    if span.from < days_before(usage.now(), RETENTION_DAYS) {
        let message = "Questions that only events can answer reach 100 days back.";
        return Err(Problem::invalid(vec![Fault::new("/from", "too_small", message)]).into());
    }
    let setup = usage.setup(who.organization_id).await?;
    let period = question.granularity.period();
    let mut rows = Rows::new();
    let mut read = 0;
    let mut query = Query::new(stored(question, span)).limit(1000);
    let all_months = Partition::organization(who.organization_id);
    loop {
        let (page, next) = usage.events.page(&all_months, &query).await?;
        read += page.len();
        if read > MAX_EVENTS {
            return Err(too_many(format!(
                "The question reads more than {MAX_EVENTS} events; narrow its range."
            )));
        }
        for event in page.iter().map(|event| &event.data) {
            if covers(&question.category_pattern, &event.category_code)
                && fits(event, &question.filters.dimensions)
            {
                let values = question.group_by.iter().map(|field| value(event, field)).collect();
                add(
                    &setup,
                    rows.entry((period.containing(event.occurred_at).from, values)).or_default(),
                    event,
                );
            }
        }
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(rows),
        }
    }
}

fn fits(event: &UsageEvent, dimensions: &Dimensions) -> bool {
    crate::model::fits(dimensions, &event.dimensions)
}

/// What the store can tell apart; dimensions are compared here, since their keys can be anything.
fn stored(question: &UsageQuestion, span: Span) -> Filter {
    let filters = &question.filters;
    let is = |field: &str, id: Option<String>| id.map(|id| Filter::eq(field, id));
    let subject = [
        is("subject.userId", filters.user_id.map(|id| id.to_string())),
        is("subject.teamId", filters.team_id.map(|id| id.to_string())),
        is("subject.projectId", filters.project_id.map(|id| id.to_string())),
    ];
    let time = [
        Filter::Ge("occurredAt".to_owned(), json!(span.from)),
        Filter::Lt("occurredAt".to_owned(), json!(span.to)),
    ];
    Filter::And(time.into_iter().chain(subject.into_iter().flatten()).collect())
}

fn value(event: &UsageEvent, field: &str) -> Option<String> {
    match field {
        "category" => Some(event.category_code.clone()),
        "userId" => event.subject.user_id.map(|id| id.to_string()),
        "teamId" => event.subject.team_id.map(|id| id.to_string()),
        "projectId" => event.subject.project_id.map(|id| id.to_string()),
        dimension => event.dimensions.get(dimension).cloned(),
    }
}

/// Adds an event to a row as the counters would have.
fn add(setup: &Setup, sum: &mut Sum, event: &UsageEvent) {
    let one = Decimal::from_units(1);
    sum.totals.events += 1;
    sum.totals.unpriced += i64::from(event.unpriced);
    if let Some(cost) = &event.cost {
        *sum.totals.costs.entry(cost.currency.clone()).or_default() += cost.amount;
    }
    let category = setup.category(&event.category_code);
    for (key, quantity) in &event.metrics {
        let declared = category.and_then(|category| category.metric(key));
        let aggregation = declared.map_or(Aggregation::Sum, |metric| metric.aggregation);
        let more = match aggregation {
            Aggregation::Sum => quantity.0,
            Aggregation::Count => one,
            Aggregation::Unique => {
                let new = event.subject.user_id.is_some_and(|id| sum.people.insert((key.clone(), id)));
                if new { one } else { Decimal::ZERO }
            }
            Aggregation::Max | Aggregation::Latest => {
                let gauge = Gauge { aggregation, value: quantity.0, at: event.occurred_at };
                let merged = sum.totals.gauges.get(key).map_or(gauge, |have| have.merged(gauge));
                sum.totals.gauges.insert(key.clone(), merged);
                continue;
            }
        };
        *sum.totals.sums.entry(key.clone()).or_default() += more;
    }
}
