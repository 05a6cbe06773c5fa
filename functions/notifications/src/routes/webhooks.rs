//! Webhooks of an organization.

use coder_core::{Code, Failure, Problem, Result, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch,
    Path, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::catalogue::{WebhookCreate, WebhookDelete, WebhookRead, WebhookUpdate};
use crate::model::webhook::{MAX_WEBHOOKS, Webhook};
use crate::service::Notifications;
use crate::webhooks::{self, new_secret, place_of, sealer, test_event};

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    const ITEM: &str = "/webhooks/{webhookId}";
    routes
        .get("/webhooks", "list_webhooks", "List the webhooks", list)
        .post("/webhooks", "create_webhook", "Add a webhook; its signing secret is shown once", create)
        .problems([Code::LimitReached])
        .get(ITEM, "get_webhook", "Read a webhook", get)
        .patch(ITEM, "update_webhook", "Change a webhook", update)
        .delete(ITEM, "delete_webhook", "Remove a webhook", delete)
        .post("/webhooks/{webhookId}/test", "test_webhook", "Post a test event to a webhook", test)
}

/// What an organization writes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookWrite {
    /// For people.
    #[schemars(length(min = 1, max = 120))]
    pub name: String,
    /// Where events are posted to; `https`, on a public address.
    #[schemars(length(min = 1, max = 2000))]
    pub url: String,
    /// Topics, or beginnings of topics such as `task.*`; none for all.
    #[serde(default)]
    #[schemars(
        length(max = 100),
        inner(length(max = 80), regex(pattern = r"^([a-z0-9-]+\.)*([a-z0-9-]+|\*)$"))
    )]
    pub topics: Vec<String>,
    /// Whether it is used.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// A webhook as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookView {
    /// The webhook.
    pub id: String,
    /// For people.
    pub name: String,
    /// Where events are posted to.
    pub url: String,
    /// Topics, or beginnings of topics; none for all.
    pub topics: Vec<String>,
    /// Whether it is used.
    pub enabled: bool,
    /// Failures since the last success; 50 switch it off.
    pub failures: u32,
    /// Why it was switched off.
    pub disabled_reason: Option<String>,
    /// The signing secret; only in the answer that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// When it was added.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Who added it, and hears if it is switched off.
    pub created_by: String,
    /// Changes at every write.
    pub etag: String,
}

/// What came of a test.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookTest {
    /// Whether the target took it.
    pub ok: bool,
    /// The HTTP status of its answer.
    pub status: Option<u16>,
    /// Why it did not.
    pub error: Option<String>,
}

/// Filters of the list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookFilters {
    /// Only those that are used, or are not.
    pub enabled: Option<bool>,
}

impl Filters for WebhookFilters {
    const SORT: &'static [&'static str] = &["createdAt", "name"];

    fn filter(&self) -> Option<Filter> {
        self.enabled.map(|enabled| Filter::eq("enabled", enabled))
    }
}

impl WebhookView {
    fn of(record: Record<Webhook>, secret: Option<String>) -> Self {
        let Webhook { name, url, topics, enabled, failures, disabled_reason, .. } = record.data;
        Self {
            id: record.meta.id,
            name,
            url,
            topics,
            enabled,
            failures,
            disabled_reason,
            secret,
            created_at: record.meta.created_at,
            created_by: record.meta.created_by,
            etag: record.meta.etag,
        }
    }
}

fn event(record: &Record<Webhook>) -> Value {
    json!({"webhookId": record.meta.id, "name": record.data.name})
}

async fn check(service: &Notifications, write: &WebhookWrite) -> Result<()> {
    match service.refusal(&write.url).await {
        Some(why) => Err(Problem::fault("/url", "refused_address", format!("{why}.")).into()),
        None => Ok(()),
    }
}

async fn list(
    State(service): State<Notifications>,
    who: Allowed<WebhookRead>,
    list: List<WebhookFilters>,
) -> Result<Json<PageOf<WebhookView>>> {
    let partition = Webhook::partition(who.organization_id);
    let page = list.page(&webhooks::webhooks(&service), &partition, None).await?;
    let items = page.items.into_iter().map(|record| WebhookView::of(record, None)).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn get(
    State(service): State<Notifications>,
    who: Allowed<WebhookRead>,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>> {
    let record = webhooks::webhooks(&service).get(&Webhook::partition(who.organization_id), &id).await?;
    Ok(Json(WebhookView::of(record, None)))
}

async fn create(
    State(service): State<Notifications>,
    who: Allowed<WebhookCreate>,
    Body(write): Body<WebhookWrite>,
) -> Result<Created<WebhookView>> {
    let partition = Webhook::partition(who.organization_id);
    let mut unit = who.begin(CONTAINER, partition.clone()).await?;
    check(&service, &write).await?;
    let there = webhooks::webhooks(&service).all(&partition, None, MAX_WEBHOOKS).await?.len();
    if there >= MAX_WEBHOOKS {
        let detail = format!("An organization has at most {MAX_WEBHOOKS} webhooks; remove one first.");
        return Err(Failure::problem(Code::LimitReached, detail));
    }
    let (id, secret) = (unit.new_id(), new_secret(&service.runtime.ambient));
    let sealed_secret = sealer(&service).seal(secret.as_bytes(), &place_of(who.organization_id, &id));
    let WebhookWrite { name, url, topics, enabled } = write;
    let webhook = Webhook { name, url, topics, sealed_secret, enabled, failures: 0, disabled_reason: None };
    let record = unit.create(&id, webhook)?;
    unit.emit("webhook.created", &id, event(&record));
    let location = format!("{}/{id}", who.context().path());
    unit.commit(Created { location, body: WebhookView::of(record, Some(secret)) }).await
}

async fn update(
    State(service): State<Notifications>,
    who: Allowed<WebhookUpdate>,
    Path(id): Path<String>,
    if_match: IfMatch,
    patch: Patch<WebhookWrite>,
) -> Result<Json<WebhookView>> {
    let partition = Webhook::partition(who.organization_id);
    let before = webhooks::webhooks(&service).get(&partition, &id).await?;
    if_match.check(&before.meta)?;
    let Webhook { name, url, topics, enabled, .. } = before.data.clone();
    let write = patch.apply(&WebhookWrite { name, url, topics, enabled })?;
    check(&service, &write).await?;
    let mut webhook = before.data.clone();
    if write.enabled && !webhook.enabled {
        (webhook.failures, webhook.disabled_reason) = (0, None);
    }
    WebhookWrite { name: webhook.name, url: webhook.url, topics: webhook.topics, enabled: webhook.enabled } =
        write;
    let mut unit = who.begin(CONTAINER, partition).await?;
    let (record, changes) = unit.replace(&before, webhook)?;
    unit.emit_changes("webhook.updated", &id, event(&record), &changes);
    unit.commit(Json(WebhookView::of(record, None))).await
}

async fn delete(
    State(service): State<Notifications>,
    who: Allowed<WebhookDelete>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let partition = Webhook::partition(who.organization_id);
    let before = webhooks::webhooks(&service).get(&partition, &id).await?;
    if_match.check(&before.meta)?;
    let mut unit = who.begin(CONTAINER, partition).await?;
    unit.delete(&before)?;
    unit.emit("webhook.deleted", &id, event(&before));
    unit.commit(NoContent).await
}

async fn test(
    State(service): State<Notifications>,
    who: Allowed<WebhookUpdate>,
    Path(id): Path<String>,
) -> Result<Json<WebhookTest>> {
    let partition = Webhook::partition(who.organization_id);
    let hook = webhooks::webhooks(&service).get(&partition, &id).await?;
    let unit = who.begin(CONTAINER, partition).await?;
    let event_id = service.runtime.ambient.new_uuid().to_string();
    let event = test_event(&service, who.organization_id, &event_id).to_string();
    let made = webhooks::post(&service, who.organization_id, &hook, &event).await?;
    let answer = WebhookTest { ok: made.error.is_none(), status: made.status, error: made.error };
    unit.commit(Json(answer)).await
}

impl Example for WebhookWrite {
    fn example() -> Self {
        Self {
            name: "Chat room".to_owned(),
            url: "https://hooks.example.com/coder".to_owned(),
            topics: vec!["task.*".to_owned(), "run.failed".to_owned()],
            enabled: true,
        }
    }
}

impl Example for WebhookView {
    fn example() -> Self {
        let WebhookWrite { name, url, topics, enabled } = WebhookWrite::example();
        let (sealed_secret, failures, disabled_reason) = (String::new(), 0, None);
        let webhook = Webhook { name, url, topics, sealed_secret, enabled, failures, disabled_reason };
        Self::of(Record::example(webhook), None)
    }
}

impl Example for WebhookTest {
    fn example() -> Self {
        Self { ok: false, status: Some(500), error: Some("the target answered 500".to_owned()) }
    }
}
