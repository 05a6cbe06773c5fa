//! Webhooks: who wants to hear of a message, and the job that posts it, signed, until it is taken.

mod deliver;
mod sign;

use coder_core::id::Uuid;
use coder_core::{OrganizationId, Result};
use coder_database::{Filter, Record, Repository};
use coder_handler::{ConsumerFault, Event, Invocation};
use coder_vault::Sealer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use deliver::deliver;
pub(crate) use deliver::post;
pub(crate) use sign::new_secret;

use crate::CONTAINER;
use crate::accept::{kept_until, partition};
use crate::deliver::{Channel, is_taken};
use crate::model::message::Message;
use crate::model::webhook::{MAX_WEBHOOKS, Webhook, WebhookDelivery, WebhookDeliveryStatus};
use crate::service::Notifications;

/// The job that posts an event.
pub const WEBHOOK: &str = "webhook";

/// What the job is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "each is the id of another thing")]
pub(crate) struct WebhookInput {
    /// Whose webhook.
    pub(crate) organization_id: OrganizationId,
    /// The webhook.
    pub(crate) webhook_id: String,
    /// The delivery.
    pub(crate) delivery_id: String,
}

pub(crate) fn webhooks(service: &Notifications) -> Repository<Webhook> {
    Repository::new(service.runtime.store.clone(), CONTAINER)
}

pub(crate) fn deliveries(service: &Notifications) -> Repository<WebhookDelivery> {
    Repository::new(service.runtime.store.clone(), CONTAINER)
}

pub(crate) fn sealer(service: &Notifications) -> Sealer {
    service.runtime.master.sealer("notifications/webhook", service.runtime.ambient.clone())
}

/// Where a signing secret belongs, so that it opens nowhere else.
pub(crate) fn place_of(organization_id: OrganizationId, webhook_id: &str) -> String {
    format!("webhook/{organization_id}/{webhook_id}")
}

/// Queues an accepted message for every webhook that wants its topic, for the time at which people are told. What is
/// sensitive leaves the platform on no such way.
pub async fn announce(service: Notifications, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Accepted {
        message_id: Uuid,
    }
    let Accepted { message_id } = event.payload()?;
    let Some(organization_id) = event.organization_id else { return Ok(()) };
    let id = message_id.to_string();
    let found = service.messages().find(&partition(Some(organization_id), &id), &id).await?;
    let Some(message) = found.filter(|found| is_for_webhooks(&found.data)) else { return Ok(()) };
    let wanted = Filter::eq("enabled", true);
    let hooks = webhooks(&service).all(&Webhook::partition(organization_id), wanted, MAX_WEBHOOKS).await?;
    for hook in hooks.iter().filter(|hook| hook.data.wants(&message.data.topic)) {
        queue(&service, &run, organization_id, &hook.meta.id, &message).await?;
    }
    Ok(())
}

fn is_for_webhooks(message: &Message) -> bool {
    !message.sensitive
        && message.channels.as_ref().is_none_or(|channels| channels.contains(&Channel::Webhook))
}

async fn queue(
    service: &Notifications,
    run: &Invocation,
    organization_id: OrganizationId,
    webhook_id: &str,
    message: &Record<Message>,
) -> Result<()> {
    let due = message.data.scheduled_for;
    let mut unit =
        run.begin(CONTAINER, WebhookDelivery::partition(Some(organization_id), webhook_id)).without_audit();
    let input = WebhookInput {
        organization_id,
        webhook_id: webhook_id.to_owned(),
        delivery_id: message.meta.id.clone(),
    };
    let job = coder_jobs::enqueue(&mut unit, WEBHOOK, json!(input), due)?;
    let delivery = WebhookDelivery {
        webhook_id: webhook_id.to_owned(),
        topic: message.data.topic.clone(),
        event: cloud_event(organization_id, message).to_string(),
        status: WebhookDeliveryStatus::Pending,
        attempts: Vec::new(),
        next_attempt_at: due,
        job_id: Some(job.meta.id),
    };
    let mut record = unit.record(&message.meta.id, delivery);
    record.expires_at = Some(kept_until(due.unwrap_or_else(|| service.now())));
    unit.insert(&record)?;
    match run.commit(unit).await {
        // The event came twice.
        Err(failure) if is_taken(&failure) => Ok(()),
        other => other,
    }
}

/// A message as the body of a webhook (CloudEvents 1.0). Who is told stays inside.
fn cloud_event(organization_id: OrganizationId, message: &Record<Message>) -> Value {
    let Message { topic, category, criticality, title, body, data, .. } = &message.data;
    envelope(
        organization_id,
        &message.meta.id,
        topic,
        message.meta.created_at,
        json!({
            "messageId": message.meta.id,
            "topic": topic,
            "category": category,
            "criticality": criticality,
            "title": title,
            "body": body,
            "data": data,
            "actionUrl": message.data.action_url,
            "resource": message.data.resource,
            "projectId": message.data.project_id,
            "actor": message.data.actor.as_ref().map(|actor| json!({"kind": actor.kind, "id": actor.id})),
        }),
    )
}

/// The event of a test.
pub(crate) fn test_event(service: &Notifications, organization_id: OrganizationId, id: &str) -> Value {
    envelope(organization_id, id, "webhook.test", service.now(), json!({"topic": "webhook.test"}))
}

fn envelope(
    organization_id: OrganizationId,
    id: &str,
    topic: &str,
    time: coder_core::Timestamp,
    data: Value,
) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/functions/notifications",
        "type": format!("coder.notifications.{topic}"),
        "subject": id,
        "time": time,
        "datacontenttype": "application/json",
        "organizationid": organization_id,
        "data": data,
    })
}
