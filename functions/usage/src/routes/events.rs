//! Reporting use, and reading what was reported.

use std::collections::BTreeMap;

use coder_core::{Code, Failure, ProjectId, Result, TeamId, Timestamp, UserId};
use coder_database::{Filter, Partition, Record};
use coder_handler::{Cause, Routes};
use coder_middleware::{Accepted, Access as _, Allowed, Body, Example, Filters, Json, List, PageOf, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, json};

use super::faults::are_dimensions;
use crate::access::{AllowedOrService, Reader, Sight};
use crate::catalogue::{EventCreate, EventRead};
use crate::decimal::{Decimal, Quantity};
use crate::model::{CONTAINER, Dimensions, Subject, UsageEvent, config};
use crate::period::{Period, days_before};
use crate::service::{Incoming, Outcome, Usage};

/// The longest range of a list, in days.
const MAX_RANGE_DAYS: i64 = 31;
/// Sources of this kind are the platform's own groups.
pub(super) const RESERVED: &str = "/functions/";

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes
        .post(
            "/events",
            "report_usage_events",
            "Report up to 1,000 events; one that comes again counts once",
            report,
        )
        .get("/events", "list_usage_events", "List events; without `usage.report.inspect` one's own", list)
}

/// Events to count.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportEvents {
    /// The events.
    #[schemars(length(min = 1, max = 1000))]
    pub events: Vec<NewEvent>,
}

/// An event to count.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEvent {
    /// Who measured it.
    #[schemars(length(min = 1, max = 64))]
    pub source: String,
    /// The source's own id of it: the same id counts once.
    #[schemars(length(min = 1, max = 128))]
    pub event_id: String,
    /// The category.
    #[schemars(length(min = 1, max = 64))]
    pub category_code: String,
    /// Who or what used it.
    #[serde(default)]
    pub subject: Subject,
    /// How much, with at most six decimals.
    #[schemars(with = "BTreeMap<String, Quantity>", extend("maxProperties" = 20))]
    pub metrics: BTreeMap<String, Number>,
    /// Particulars, such as the model.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub dimensions: Dimensions,
    /// When it happened; at most 32 days ago.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub occurred_at: Timestamp,
}

impl From<NewEvent> for Incoming {
    fn from(event: NewEvent) -> Self {
        let quantities =
            event.metrics.iter().map(|(key, number)| (key.clone(), Decimal::from_number(number)));
        Self {
            metrics: quantities.collect(),
            source: event.source,
            event_id: event.event_id,
            category_code: event.category_code,
            subject: event.subject,
            dimensions: event.dimensions,
            occurred_at: event.occurred_at,
        }
    }
}

/// What became of reported events.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportOutcome {
    /// How many count from now on.
    pub accepted: usize,
    /// How many counted before.
    pub duplicates: usize,
    /// Which do not count, and why.
    pub rejected: Vec<Rejection>,
}

/// An event that does not count.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Why: `too_old`, `too_early`, `unknown_category`, `unknown_metric`, `invalid_metric`, `invalid_dimension`,
    /// `reserved_source`, `too_many_metrics`.
    pub code: &'static str,
}

impl Example for ReportEvents {
    fn example() -> Self {
        Self { events: vec![NewEvent::example()] }
    }
}

impl Example for NewEvent {
    fn example() -> Self {
        Self {
            source: "build-server".to_owned(),
            event_id: "build-4711".to_owned(),
            category_code: "compute.build".to_owned(),
            subject: Subject { project_id: Some(coder_core::id::EXAMPLE.into()), ..Subject::default() },
            metrics: BTreeMap::from([("seconds".to_owned(), 93.into()), ("jobs".to_owned(), 1.into())]),
            dimensions: Dimensions::from([("size".to_owned(), "large".to_owned())]),
            occurred_at: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Example for ReportOutcome {
    fn example() -> Self {
        Self { accepted: 2, duplicates: 0, rejected: vec![Rejection { index: 1, code: "too_old" }] }
    }
}

impl Example for UsageEvent {
    fn example() -> Self {
        let event = NewEvent::example();
        Self {
            source: event.source,
            event_id: event.event_id,
            category_code: event.category_code,
            subject: event.subject,
            metrics: BTreeMap::from([("seconds".to_owned(), Quantity(Decimal::from_units(93)))]),
            dimensions: event.dimensions,
            occurred_at: event.occurred_at,
            cost: None,
            unpriced: true,
        }
    }
}

async fn report(
    State(usage): State<Usage>,
    who: AllowedOrService<EventCreate>,
    Body(input): Body<ReportEvents>,
) -> Result<Accepted<ReportOutcome>> {
    // Only the answer is kept under the idempotency key; the events are kept by their own ids.
    let unit = who.begin(CONTAINER, config(who.organization_id)).await?.without_audit();
    let (mut outcome, mut places, mut events) = (ReportOutcome::default(), Vec::new(), Vec::new());
    for (index, event) in input.events.into_iter().enumerate() {
        let code = match who.service {
            None if event.source.starts_with(RESERVED) => Some("reserved_source"),
            _ if !are_dimensions(&event.dimensions) => Some("invalid_dimension"),
            _ => None,
        };
        match code {
            Some(code) => outcome.rejected.push(Rejection { index, code }),
            None => {
                places.push(index);
                events.push(event.into());
            }
        }
    }
    let outcomes = usage.ingest(Cause::Request(who.context()), who.organization_id, events).await?;
    for (index, found) in places.into_iter().zip(outcomes) {
        match found {
            Outcome::Accepted => outcome.accepted += 1,
            Outcome::Duplicate => outcome.duplicates += 1,
            Outcome::Rejected(code) => outcome.rejected.push(Rejection { index, code }),
        }
    }
    outcome.rejected.sort_by_key(|rejection| rejection.index);
    unit.commit(Accepted(outcome)).await
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventFilters {
    /// A category code, or the beginning of codes and `*`.
    #[schemars(length(max = 65))]
    pub category_code: Option<String>,
    /// Whose.
    pub user_id: Option<UserId>,
    /// The project's.
    pub project_id: Option<ProjectId>,
    /// The team's.
    pub team_id: Option<TeamId>,
    /// Who measured it.
    #[schemars(length(max = 64))]
    pub source: Option<String>,
    /// From when on; 31 days ago if left out.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// Before when; at most 31 days after `from`.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub to: Option<Timestamp>,
}

impl Filters for EventFilters {
    const SORT: &'static [&'static str] = &["-occurredAt"];

    fn filter(&self) -> Option<Filter> {
        let text = |field: &str, id: Option<String>| id.map(|id| Filter::eq(field, id));
        let category = self.category_code.as_deref().map(|code| match code.strip_suffix('*') {
            Some(head) => Filter::StartsWith("categoryCode".to_owned(), head.to_owned()),
            None => Filter::eq("categoryCode", code),
        });
        let all = [
            category,
            text("subject.userId", self.user_id.map(|id| id.to_string())),
            text("subject.projectId", self.project_id.map(|id| id.to_string())),
            text("subject.teamId", self.team_id.map(|id| id.to_string())),
            text("source", self.source.clone()),
            self.to.map(|to| Filter::Lt("occurredAt".to_owned(), json!(to))),
        ];
        Some(Filter::And(all.into_iter().flatten().collect()))
    }
}

async fn list(
    State(usage): State<Usage>,
    who: Allowed<EventRead>,
    mut list: List<EventFilters>,
) -> Result<Json<PageOf<Record<UsageEvent>>>> {
    let reader = Reader::admit(who.context()).await?;
    if reader.sight < Sight::Everybody {
        list.filters.user_id = Some(who.user_id);
    }
    let to = list.filters.to.unwrap_or_else(|| usage.now());
    // The beginning of a day, so that a page a moment later belongs to the same query.
    let from =
        list.filters.from.unwrap_or_else(|| Period::Day.containing(days_before(to, MAX_RANGE_DAYS)).from);
    if from > to || from < days_before(to, MAX_RANGE_DAYS + 1) {
        let detail = "`from` lies at most 31 days before `to`.";
        return Err(Failure::problem(Code::InvalidQuery, detail));
    }
    let since = Filter::Ge("occurredAt".to_owned(), json!(from));
    let all_months = Partition::organization(who.organization_id);
    Ok(Json(list.page(&usage.events, &all_months, Some(since)).await?))
}
