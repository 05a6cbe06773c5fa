//! What a webhook was sent, and sending it again.

use coder_core::{Code, Failure, Result, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Accepted, Access as _, Allowed, Body, Example, Filters, Json, List, PageOf, Path, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::catalogue::{WebhookInspect, WebhookUpdate};
use crate::model::webhook::{Webhook, WebhookAttempt, WebhookDelivery, WebhookDeliveryStatus};
use crate::service::Notifications;
use crate::webhooks::{self, WEBHOOK, WebhookInput};

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes
        .get(
            "/webhooks/{webhookId}/deliveries",
            "list_webhook_deliveries",
            "List what a webhook was sent",
            list,
        )
        .post("/webhooks/{webhookId}/redeliver", "redeliver_webhook", "Post an event again", redeliver)
        .problems([Code::InvalidState])
}

/// A delivery as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDeliveryView {
    /// The delivery; its event has the same id.
    pub id: String,
    /// The topic.
    pub topic: String,
    /// Where it stands.
    pub status: WebhookDeliveryStatus,
    /// Every attempt since it was last asked for.
    pub attempts: Vec<WebhookAttempt>,
    /// When the next attempt is due.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// The event as it is posted.
    #[schemars(with = "std::collections::BTreeMap<String, Value>")]
    pub event: Value,
    /// When the event came.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
}

/// Which delivery to make again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redelivery {
    /// The delivery.
    #[schemars(length(min = 1, max = 64))]
    pub delivery_id: String,
}

/// Filters of the list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryFilters {
    /// Only those that stand so.
    pub status: Option<WebhookDeliveryStatus>,
    /// Only this topic.
    #[schemars(length(max = 80))]
    pub topic: Option<String>,
}

impl Filters for DeliveryFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        let status = self.status.map(|status| Filter::eq("status", json!(status)));
        let topic = self.topic.as_ref().map(|topic| Filter::eq("topic", topic.as_str()));
        status.into_iter().chain(topic).reduce(Filter::and)
    }
}

fn view(record: Record<WebhookDelivery>) -> WebhookDeliveryView {
    let WebhookDelivery { topic, event, status, attempts, next_attempt_at, .. } = record.data;
    WebhookDeliveryView {
        id: record.meta.id,
        topic,
        status,
        attempts,
        next_attempt_at,
        event: serde_json::from_str(&event).unwrap_or_default(),
        created_at: record.meta.created_at,
    }
}

async fn list(
    State(service): State<Notifications>,
    who: Allowed<WebhookInspect>,
    Path(id): Path<String>,
    list: List<DeliveryFilters>,
) -> Result<Json<PageOf<WebhookDeliveryView>>> {
    let organization_id = who.organization_id;
    webhooks::webhooks(&service).get(&Webhook::partition(organization_id), &id).await?;
    let partition = WebhookDelivery::partition(Some(organization_id), &id);
    let page = list.page(&webhooks::deliveries(&service), &partition, None).await?;
    Ok(Json(PageOf { items: page.items.into_iter().map(view).collect(), next_cursor: page.next_cursor }))
}

async fn redeliver(
    State(service): State<Notifications>,
    who: Allowed<WebhookUpdate>,
    Path(id): Path<String>,
    Body(Redelivery { delivery_id }): Body<Redelivery>,
) -> Result<Accepted<WebhookDeliveryView>> {
    let organization_id = who.organization_id;
    let hook = webhooks::webhooks(&service).get(&Webhook::partition(organization_id), &id).await?;
    if !hook.data.enabled {
        let detail = "The webhook is switched off; switch it on first.";
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    let partition = WebhookDelivery::partition(Some(organization_id), &id);
    let before = webhooks::deliveries(&service).get(&partition, &delivery_id).await?;
    let mut unit = who.begin(CONTAINER, partition).await?;
    let input = WebhookInput { organization_id, webhook_id: id, delivery_id };
    let job = coder_jobs::enqueue(&mut unit, WEBHOOK, json!(input), None)?;
    let mut delivery = before.data.clone();
    delivery.status = WebhookDeliveryStatus::Pending;
    delivery.attempts.clear();
    (delivery.job_id, delivery.next_attempt_at) = (Some(job.meta.id), None);
    let (record, _) = unit.replace(&before, delivery)?;
    unit.commit(Accepted(view(record))).await
}

impl Example for Redelivery {
    fn example() -> Self {
        Self { delivery_id: coder_core::id::EXAMPLE.to_string() }
    }
}

impl Example for WebhookDeliveryView {
    fn example() -> Self {
        Self {
            id: coder_core::id::EXAMPLE.to_string(),
            topic: "run.failed".to_owned(),
            status: WebhookDeliveryStatus::Delivered,
            attempts: vec![WebhookAttempt { at: Timestamp::UNIX_EPOCH, status: Some(204), error: None }],
            next_attempt_at: None,
            event: json!({"specversion": "1.0", "type": "coder.notifications.run.failed"}),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }
}
