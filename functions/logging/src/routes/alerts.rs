//! Alerts that were raised.

use coder_core::{Code, Failure, Result};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{Access, Allowed, Filters, Json, List, PageOf, Path, State};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::catalogue::{AlertInspect, AlertUpdate};
use crate::model::{Alert, AlertId, AlertState, CONTAINER, RuleId, Severity, Trail};
use crate::service::Logging;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .get("/alerts", "list_audit_alerts", "List raised alerts", list)
        .post(
            "/alerts/{alertId}/acknowledge",
            "acknowledge_audit_alert",
            "Say that one looks at an alert",
            acknowledge,
        )
        .problems([Code::InvalidState])
        .post("/alerts/{alertId}/close", "close_audit_alert", "Say that an alert is dealt with", close)
        .problems([Code::InvalidState])
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertFilters {
    /// Only those in this state.
    state: Option<AlertState>,
    /// Only those of this severity.
    severity: Option<Severity>,
    /// Only those of this rule.
    rule_id: Option<RuleId>,
}

impl Filters for AlertFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        let mut all = Vec::new();
        all.extend(self.state.map(|state| Filter::eq("state", json!(state))));
        all.extend(self.severity.map(|severity| Filter::eq("severity", json!(severity))));
        all.extend(self.rule_id.map(|id| Filter::eq("ruleId", id.to_string())));
        Some(Filter::And(all))
    }
}

async fn list(
    State(logging): State<Logging>,
    who: Allowed<AlertInspect>,
    list: List<AlertFilters>,
) -> Result<Json<PageOf<Record<Alert>>>> {
    let partition = Trail::Organization(who.organization_id).config();
    list.page(&logging.alerts, &partition, None).await.map(Json)
}

async fn acknowledge(
    State(logging): State<Logging>,
    who: Allowed<AlertUpdate>,
    Path(id): Path<AlertId>,
) -> Result<Json<Record<Alert>>> {
    turn(&logging, &who, Trail::Organization(who.organization_id), id, AlertState::Acknowledged).await
}

async fn close(
    State(logging): State<Logging>,
    who: Allowed<AlertUpdate>,
    Path(id): Path<AlertId>,
) -> Result<Json<Record<Alert>>> {
    turn(&logging, &who, Trail::Organization(who.organization_id), id, AlertState::Closed).await
}

/// Takes an alert of the chain to another state, and tells it.
pub(super) async fn turn(
    logging: &Logging,
    who: &impl Access,
    trail: Trail,
    id: AlertId,
    state: AlertState,
) -> Result<Json<Record<Alert>>> {
    let partition = trail.config();
    let before = logging.alerts.get(&partition, &id.to_string()).await?;
    if before.data.state == AlertState::Closed || before.data.state == state {
        let detail = "A closed alert stays closed, and one is acknowledged once.";
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    let mut unit = who.begin(CONTAINER, partition).await?;
    let (record, changes) = unit.replace(&before, Alert { state, ..before.data.clone() })?;
    let data = json!({"alertId": id, "ruleId": record.data.rule_id, "name": record.data.name});
    let event = if state == AlertState::Closed { "alert.closed" } else { "alert.acknowledged" };
    unit.emit_changes(event, &id.to_string(), data, &changes);
    unit.commit(Json(record)).await
}
