//! The job that posts an event to a webhook: one attempt a run, eight over a day.

use coder_core::{OrganizationId, Result};
use coder_database::Record;
use coder_handler::events::JobRun;
use coder_handler::{Invocation, retry_stale};
use coder_jobs::JobFault;
use coder_outbound::OutboundError;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{WEBHOOK, WebhookInput, deliveries, place_of, sealer, sign, webhooks};
use crate::CONTAINER;
use crate::accept::partition;
use crate::model::message::MessageStatus;
use crate::model::webhook::{MAX_FAILURES, Webhook, WebhookAttempt, WebhookDelivery, WebhookDeliveryStatus};
use crate::service::Notifications;

/// Seconds between one attempt and the next; the eighth is the last, a day after the first.
const PAUSES: [i64; 7] = [30, 120, 600, 1800, 2 * 3600, 6 * 3600, 15 * 3600];

/// `410 Gone`: the target wants nothing any more.
const GONE: u16 = 410;

/// Posts an event once, and plans the next attempt if it is not taken.
pub async fn deliver(service: Notifications, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let input =
        WebhookInput::deserialize(input).map_err(|error| JobFault::Fail(format!("the input: {error}")))?;
    let WebhookInput { organization_id, webhook_id, delivery_id } = &input;
    let place = WebhookDelivery::partition(Some(*organization_id), webhook_id);
    let Some(before) = deliveries(&service).find(&place, delivery_id).await? else { return Ok(json!({})) };
    let is_mine = before.data.job_id.as_deref() == Some(run.id.as_str());
    if !is_mine || before.data.status != WebhookDeliveryStatus::Pending {
        return Ok(json!({"skipped": true}));
    }
    let hook = webhooks(&service).find(&Webhook::partition(*organization_id), webhook_id).await?;
    let hook = hook.filter(|hook| hook.data.enabled);
    let attempt = match hook {
        None => Attempt::Pointless("the webhook was switched off or removed"),
        Some(_) if withdrawn(&service, *organization_id, delivery_id).await? => {
            Attempt::Pointless("the message was taken back")
        }
        Some(hook) => Attempt::Made(post(&service, *organization_id, &hook, &before.data.event).await?),
    };
    let status = attempt.answer();
    conclude(&service, &run.invocation, &input, &before, &attempt).await?;
    if let Attempt::Made(made) = &attempt {
        count(&service, &run.invocation, &input, made).await?;
    }
    Ok(json!({"status": status}))
}

/// What a run did.
enum Attempt {
    /// Nothing, for this reason.
    Pointless(&'static str),
    /// It called.
    Made(WebhookAttempt),
}

impl Attempt {
    fn answer(&self) -> Option<u16> {
        match self {
            Self::Made(made) => made.status,
            Self::Pointless(_) => None,
        }
    }
}

/// Whether the target took it.
fn is_success(attempt: &WebhookAttempt) -> bool {
    attempt.status.is_some_and(|status| (200..300).contains(&status))
}

/// Whether a message was cancelled or had expired before it was told. One that is gone was told long ago.
async fn withdrawn(service: &Notifications, organization_id: OrganizationId, id: &str) -> Result<bool> {
    let found = service.messages().find(&partition(Some(organization_id), id), id).await?;
    let taken_back = [MessageStatus::Cancelled, MessageStatus::Expired];
    Ok(found.is_some_and(|message| taken_back.contains(&message.data.status)))
}

/// Calls the target with a signature of this moment.
pub(crate) async fn post(
    service: &Notifications,
    organization_id: OrganizationId,
    hook: &Record<Webhook>,
    event: &str,
) -> Result<WebhookAttempt> {
    let at = service.now();
    let secret = sealer(service).open(&hook.data.sealed_secret, &place_of(organization_id, &hook.meta.id))?;
    let headers = [
        ("content-type", "application/cloudevents+json".to_owned()),
        (sign::HEADER, sign::signature(&secret, at.as_second(), event)),
    ];
    let answer = match (Url::parse(&hook.data.url), service.outbound()) {
        (Ok(url), Ok(client)) => client.post(&url, &headers, event.as_bytes().to_vec()).await,
        (Err(error), _) => Err(OutboundError::Failed(error.to_string())),
        (_, Err(error)) => Err(error),
    };
    Ok(match answer {
        Ok(answer) => {
            let good = (200..300).contains(&answer.status);
            let error = (!good).then(|| format!("the target answered {}", answer.status));
            WebhookAttempt { at, status: Some(answer.status), error }
        }
        Err(error) => WebhookAttempt { at, status: None, error: Some(error.to_string()) },
    })
}

/// Writes what came of the attempt, with the next one if there is to be one.
async fn conclude(
    service: &Notifications,
    run: &Invocation,
    input: &WebhookInput,
    before: &Record<WebhookDelivery>,
    attempt: &Attempt,
) -> Result<()> {
    let mut delivery = before.data.clone();
    let place = WebhookDelivery::partition(Some(input.organization_id), &input.webhook_id);
    let mut unit = run.begin(CONTAINER, place).without_audit();
    delivery.next_attempt_at = None;
    match attempt {
        Attempt::Pointless(reason) => {
            let error = Some((*reason).to_owned());
            delivery.attempts.push(WebhookAttempt { at: service.now(), status: None, error });
            delivery.status = WebhookDeliveryStatus::Failed;
        }
        Attempt::Made(made) => {
            let pause = PAUSES.get(delivery.attempts.len()).filter(|_| made.status != Some(GONE));
            delivery.attempts.push(made.clone());
            match pause {
                _ if is_success(made) => delivery.status = WebhookDeliveryStatus::Delivered,
                Some(seconds) => {
                    let due = service.runtime.ambient.after(*seconds);
                    let job = coder_jobs::enqueue(&mut unit, WEBHOOK, json!(input), Some(due))?;
                    (delivery.job_id, delivery.next_attempt_at) = (Some(job.meta.id), Some(due));
                }
                None => delivery.status = WebhookDeliveryStatus::Failed,
            }
        }
    }
    unit.replace(before, delivery)?;
    run.commit(unit).await
}

/// Counts failures in a row on the webhook. Too many, or `410`, switch it off; of the event its creator hears.
async fn count(
    service: &Notifications,
    run: &Invocation,
    input: &WebhookInput,
    made: &WebhookAttempt,
) -> Result<()> {
    let place = Webhook::partition(input.organization_id);
    retry_stale(|| async {
        let found = webhooks(service).find(&place, &input.webhook_id).await?;
        let Some(before) = found.filter(|hook| hook.data.enabled) else { return Ok(()) };
        let hook = counted(&before.data, made);
        if hook == before.data {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, place.clone()).without_audit();
        if let Some(reason) = &hook.disabled_reason {
            let about = json!({
                "webhookId": input.webhook_id, "name": hook.name, "reason": reason, "createdBy": before.meta.created_by,
            });
            unit.emit("webhook.disabled", &input.webhook_id, about);
        }
        unit.replace(&before, hook)?;
        run.commit(unit).await
    })
    .await
}

fn counted(before: &Webhook, made: &WebhookAttempt) -> Webhook {
    let mut hook = before.clone();
    hook.failures = if is_success(made) { 0 } else { hook.failures.saturating_add(1) };
    let reason = match made.status {
        Some(GONE) => Some("the target answered 410 Gone".to_owned()),
        _ if hook.failures >= MAX_FAILURES => Some(format!("{MAX_FAILURES} attempts in a row failed")),
        _ => None,
    };
    if reason.is_some() {
        (hook.enabled, hook.disabled_reason) = (false, reason);
    }
    hook
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;

    use super::{PAUSES, counted};
    use crate::model::webhook::{Webhook, WebhookAttempt};

    fn hook(failures: u32) -> Webhook {
        Webhook {
            name: "Builds".into(),
            url: "https://hooks.example.com/".into(),
            topics: vec!["task.*".into(), "run.failed".into()],
            sealed_secret: String::new(),
            enabled: true,
            failures,
            disabled_reason: None,
        }
    }

    fn attempt(status: Option<u16>) -> WebhookAttempt {
        WebhookAttempt { at: Timestamp::UNIX_EPOCH, status, error: None }
    }

    #[test]
    fn eight_attempts_take_a_day() {
        let whole: i64 = PAUSES.iter().sum();
        assert!(PAUSES.len() == 7 && (23 * 3600..=24 * 3600).contains(&whole), "{whole}");
    }

    #[test]
    fn fifty_failures_in_a_row_or_gone_switch_it_off() {
        for (failures, status, expected, enabled) in [
            (0, Some(204), 0, true),
            (49, Some(200), 0, true),
            (0, Some(500), 1, true),
            (48, None, 49, true),
            (49, Some(302), 50, false),
            (0, Some(410), 1, false),
        ] {
            let after = counted(&hook(failures), &attempt(status));
            assert_eq!((after.failures, after.enabled), (expected, enabled), "{failures} {status:?}");
            assert_eq!(after.disabled_reason.is_some(), !enabled);
        }
    }

    #[test]
    fn topics_are_wanted_by_name_or_beginning() {
        let hook = hook(0);
        assert!(hook.wants("task.assigned") && hook.wants("run.failed"));
        assert!(!hook.wants("run.completed") && !hook.wants("tasks.assigned"));
        assert!(Webhook { topics: Vec::new(), ..hook }.wants("anything.at-all"));
    }
}
