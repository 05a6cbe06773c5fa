//! Every hour: alerts whose cause is gone are resolved, and those that a failure swallowed are opened. Hours, days and
//! months are counted with each event, so that nothing has to be added up here.

use coder_core::{OrganizationId, Result, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::{Cause, Invocation};
use serde_json::Value;

use crate::model::{Alert, AlertKind, QuotaScope, Subject, config};
use crate::service::{Ask, Rule, Usage, everywhere, owner, quota_event, thresholds};

/// Resolves and opens alerts of quotas.
pub async fn roll(usage: Usage, run: Invocation) -> Result<()> {
    let resolved = Filter::eq("state", "resolved");
    for (partition, alert) in everywhere(&usage.alerts, &run.job, Filter::Not(Box::new(resolved))).await? {
        settle(&usage, &run, owner(&partition)?, &alert).await?;
    }
    for (partition, quota) in everywhere(&usage.quotas, &run.job, Filter::eq("active", true)).await? {
        if quota.data.scope != QuotaScope::EachUser {
            let rule = Rule::of_quota(&quota);
            usage.warn(Cause::Job(&run), owner(&partition)?, &rule, &Ask::default(), usage.now()).await?;
        }
    }
    Ok(())
}

/// Resolves an alert whose period is over, or whose threshold is not reached any more.
async fn settle(
    usage: &Usage,
    run: &Invocation,
    organization_id: OrganizationId,
    alert: &Record<Alert>,
) -> Result<()> {
    let (data, now) = (&alert.data, usage.now());
    let subject = Subject { user_id: data.user_id, ..Subject::default() };
    let ask = Ask { subject, ..Ask::default() };
    let quota = usage.quotas.find(&config(organization_id), &data.subject_id).await?;
    let rule = quota.as_ref().filter(|quota| quota.data.active).map(Rule::of_quota);
    let event: Option<Value> = match &rule {
        Some(rule) => {
            let used = usage.used(organization_id, rule, &ask, now).await?;
            if !is_over(data, now) && reached(data.kind, rule, used) {
                return Ok(());
            }
            Some(quota_event(rule, &ask, used, now))
        }
        // Alerts of budgets and days end with their period.
        None if is_over(data, now) || is_of_quota(data.kind) => None,
        None => return Ok(()),
    };
    let event = event.filter(|_| data.kind == AlertKind::QuotaExceeded).map(|event| ("quota.reset", event));
    usage.resolve_alert(Cause::Job(run), organization_id, alert, event).await
}

fn is_over(alert: &Alert, now: Timestamp) -> bool {
    alert.period_end <= now
}

fn is_of_quota(kind: AlertKind) -> bool {
    matches!(kind, AlertKind::QuotaWarning | AlertKind::QuotaCritical | AlertKind::QuotaExceeded)
}

/// Whether the quota as it is now still has that much used.
fn reached(kind: AlertKind, rule: &Rule, used: crate::decimal::Decimal) -> bool {
    thresholds(rule).iter().any(|(one, percent)| *one == kind && used >= rule.limit.percent(*percent))
}
