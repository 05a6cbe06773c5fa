//! Alerts: reading and acknowledging them.

use std::str::FromStr;

use coder_core::{Code, Failure, Result, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{Access as _, Allowed, Example, Filters, Json, List, PageOf, Path, State};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalogue::{AlertAcknowledge, AlertRead};
use crate::decimal::{Decimal, Quantity};
use crate::model::{Alert, AlertKind, AlertState, CONTAINER, Severity, config};
use crate::service::Usage;

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes
        .get("/alerts", "list_usage_alerts", "List alerts, the latest first", list)
        .post(
            "/alerts/{alertId}/acknowledge",
            "acknowledge_usage_alert",
            "Say that an alert was seen",
            acknowledge,
        )
        .problems([Code::InvalidState])
}

/// The id of an alert: 64 hexadecimal digits.
#[derive(Debug, Clone)]
struct AlertId(String);

impl FromStr for AlertId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if text.len() == 64 && hexadecimal { Ok(Self(text.to_owned())) } else { Err("no id of an alert") }
    }
}

impl Example for Alert {
    fn example() -> Self {
        Self {
            kind: AlertKind::QuotaWarning,
            severity: Severity::Warning,
            state: AlertState::Active,
            subject_id: coder_core::id::EXAMPLE.to_string(),
            user_id: None,
            metric: "inputTokens".to_owned(),
            current_value: Quantity(Decimal::from_units(810_000)),
            threshold_value: Quantity(Decimal::from_units(800_000)),
            period_start: Timestamp::UNIX_EPOCH,
            period_end: Timestamp::UNIX_EPOCH,
        }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AlertFilters {
    /// Where it stands.
    pub state: Option<AlertState>,
    /// What happened.
    pub kind: Option<AlertKind>,
    /// How bad it is.
    pub severity: Option<Severity>,
}

impl Filters for AlertFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        let is = |field: &str, value: Option<Value>| value.map(|value| Filter::Eq(field.to_owned(), value));
        let all = [
            is("state", self.state.map(|state| json!(state))),
            is("kind", self.kind.map(|kind| json!(kind))),
            is("severity", self.severity.map(|severity| json!(severity))),
        ];
        Some(Filter::And(all.into_iter().flatten().collect()))
    }
}

async fn list(
    State(usage): State<Usage>,
    who: Allowed<AlertRead>,
    list: List<AlertFilters>,
) -> Result<Json<PageOf<Record<Alert>>>> {
    Ok(Json(list.page(&usage.alerts, &config(who.organization_id), None).await?))
}

async fn acknowledge(
    State(usage): State<Usage>,
    who: Allowed<AlertAcknowledge>,
    Path(AlertId(id)): Path<AlertId>,
) -> Result<Json<Record<Alert>>> {
    let partition = config(who.organization_id);
    let mut unit = who.begin(CONTAINER, partition.clone()).await?;
    let before = usage.alerts.get(&partition, &id).await?;
    match before.data.state {
        AlertState::Acknowledged => return Ok(Json(before)),
        AlertState::Resolved => {
            return Err(Failure::problem(Code::InvalidState, "The alert was resolved by itself."));
        }
        AlertState::Active => {}
    }
    let (record, _) =
        unit.replace(&before, Alert { state: AlertState::Acknowledged, ..before.data.clone() })?;
    unit.emit("alert.acknowledged", &id, json!({"alertId": id, "kind": record.data.kind}));
    unit.commit(Json(record)).await
}
