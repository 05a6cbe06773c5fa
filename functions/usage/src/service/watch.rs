//! Looking after quotas when use was counted: whoever reaches a threshold is told, once in each period.

use std::collections::BTreeMap;

use coder_core::{OrganizationId, Result, Timestamp, UserId};
use coder_handler::Cause;

use super::alerts::quota_event;
use super::rules::{Rule, RuleKind};
use super::{Ask, Setup, Usage};
use crate::decimal::Quantity;
use crate::model::{Alert, AlertKind, AlertState, Severity, UsageEvent};

impl Usage {
    /// Opens the alerts that these events give rise to. The events count already, so that a failure here is left to
    /// the hourly job.
    pub(crate) async fn watch(
        &self,
        by: Cause<'_>,
        organization_id: OrganizationId,
        setup: &Setup,
        counted: &[UsageEvent],
    ) {
        let now = self.now();
        let mut touched: BTreeMap<(&str, Option<UserId>), (&Rule, Ask)> = BTreeMap::new();
        for rule in setup.rules.iter().filter(|rule| rule.is_quota()) {
            let span = rule.period.containing(now);
            for event in counted.iter().filter(|event| span.contains(event.occurred_at)) {
                if rule.applies(&event.category_code, &event.dimensions, &event.subject) {
                    let ask = Ask { subject: event.subject, ..Ask::default() };
                    touched.insert((&rule.id, rule.person(&event.subject)), (rule, ask));
                }
            }
        }
        for (rule, ask) in touched.into_values() {
            if let Err(failure) = self.warn(by, organization_id, rule, &ask, now).await {
                tracing::warn!(quota.id = rule.id, cause = %failure, "a quota could not be looked after");
            }
        }
    }

    /// Opens the alerts of a quota as it stands.
    pub(crate) async fn warn(
        &self,
        by: Cause<'_>,
        organization_id: OrganizationId,
        rule: &Rule,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<()> {
        let used = self.used(organization_id, rule, ask, now).await?;
        for (kind, percent) in thresholds(rule) {
            let threshold = rule.limit.percent(percent);
            if used < threshold {
                continue;
            }
            let span = rule.period.containing(now);
            let alert = Alert {
                kind,
                severity: if kind == AlertKind::QuotaWarning {
                    Severity::Warning
                } else {
                    Severity::Critical
                },
                state: AlertState::Active,
                subject_id: rule.id.clone(),
                user_id: rule.person(&ask.subject),
                metric: rule.metric.clone(),
                current_value: Quantity(used),
                threshold_value: Quantity(threshold),
                period_start: span.from,
                period_end: span.to,
            };
            let name = if kind == AlertKind::QuotaExceeded { "quota.exceeded" } else { "quota.warned" };
            let event = (name, quota_event(rule, ask, used, now));
            self.open_alert(by, organization_id, alert, Some(event)).await?;
        }
        Ok(())
    }
}

/// The thresholds of a quota, in percent of its limit.
pub(crate) fn thresholds(rule: &Rule) -> Vec<(AlertKind, u32)> {
    match rule.kind {
        RuleKind::Quota { warn, critical } => vec![
            (AlertKind::QuotaWarning, warn),
            (AlertKind::QuotaCritical, critical),
            (AlertKind::QuotaExceeded, 100),
        ],
        RuleKind::Budget => Vec::new(),
    }
}
