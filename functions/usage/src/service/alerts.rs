//! Opening and resolving alerts.

use coder_core::{Code, Failure, OrganizationId, Result, Timestamp};
use coder_database::Record;
use coder_handler::Cause;
use serde_json::{Value, json};

use super::rules::Rule;
use super::{Ask, Usage};
use crate::decimal::{Decimal, Quantity};
use crate::model::{ALERT_DAYS, Alert, AlertState, CONTAINER, config};
use crate::period::days_after;

impl Usage {
    /// Opens an alert and tells of it, unless it was opened before.
    pub(crate) async fn open_alert(
        &self,
        by: Cause<'_>,
        organization_id: OrganizationId,
        alert: Alert,
        event: Option<(&str, Value)>,
    ) -> Result<()> {
        let (partition, id) = (config(organization_id), alert.document_id());
        if self.alerts.find(&partition, &id).await?.is_some() {
            return Ok(());
        }
        let subject_id = alert.subject_id.clone();
        let mut unit = by.begin(CONTAINER, partition).without_audit();
        let mut record = unit.record(&id, alert);
        record.expires_at = Some(days_after(self.now(), ALERT_DAYS));
        unit.insert(&record)?;
        if let Some((name, payload)) = event {
            unit.emit(name, &subject_id, payload);
        }
        match by.commit(unit).await {
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Ok(()),
            outcome => outcome,
        }
    }

    /// Resolves an alert whose cause is gone; somebody who acknowledges it meanwhile is left to the next run.
    pub(crate) async fn resolve_alert(
        &self,
        by: Cause<'_>,
        organization_id: OrganizationId,
        alert: &Record<Alert>,
        event: Option<(&str, Value)>,
    ) -> Result<()> {
        let mut unit = by.begin(CONTAINER, config(organization_id)).without_audit();
        unit.replace(alert, Alert { state: AlertState::Resolved, ..alert.data.clone() })?;
        if let Some((name, payload)) = event {
            unit.emit(name, &alert.data.subject_id, payload);
        }
        match by.commit(unit).await {
            Err(Failure::Stale) => Ok(()),
            outcome => outcome,
        }
    }
}

/// The payload of the events of a quota.
pub(crate) fn quota_event(rule: &Rule, ask: &Ask, used: Decimal, now: Timestamp) -> Value {
    let resets_at = rule.period.containing(now).to;
    let mut event = json!({
        "quotaId": rule.id, "scope": rule.scope, "scopeId": rule.scope_id, "categoryPattern": rule.pattern,
        "metric": rule.metric, "used": Quantity(used), "limit": Quantity(rule.limit), "action": rule.action,
        "resetsAt": resets_at,
    });
    if let Some(user_id) = rule.person(&ask.subject) {
        event["userId"] = json!(user_id);
    }
    event
}
