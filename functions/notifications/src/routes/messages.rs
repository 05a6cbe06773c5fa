//! Messages that people send, and what became of every message.

use std::collections::BTreeMap;

use coder_core::{
    Code, Failure, Fault, OrganizationId, Problem, ProjectId, Result, Scope, Timestamp, UserId,
};
use coder_database::{Filter, Partition, Record};
use coder_handler::Routes;
use coder_middleware::access::effective;
use coder_middleware::{
    Accepted, Access as _, Allowed, Body, Example, Filters, Json, List, PageOf, Path, RequestContext,
    SignedIn, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::CONTAINER;
use crate::accept::{partition, taken_is_stale};
use crate::catalogue::{MessageCreate, MessageInspect};
use crate::deliver::{Category, Channel, Criticality, Delivery, DeliveryStatus};
use crate::model::content::Content;
use crate::model::message::{Message, MessageStatus, MessageView};
use crate::pipeline::deliveries_of;
use crate::service::Notifications;
use crate::topics;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes
        .post("/messages", "create_message", "Send a message to people of the organization", create)
        .get("/messages", "list_messages", "List messages, the newest first", list)
        .get("/messages/{messageId}", "get_message", "Read a message and how far it is", get)
        .post("/messages/{messageId}/cancel", "cancel_message", "Take a scheduled message back", cancel)
        .problems([Code::InvalidState])
        .get(
            "/messages/{messageId}/deliveries",
            "list_message_deliveries",
            "List how a message reached each person",
            deliveries,
        )
}

/// A message to people.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendMessage {
    /// The sender's own topic; those of the platform are not for people.
    #[serde(default = "announcement")]
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[a-z0-9-]+(\.[a-z0-9-]+)*$"))]
    pub topic: String,
    /// What it is about, roughly.
    #[serde(default)]
    pub category: Category,
    /// How much it matters; at most `high`.
    #[serde(default)]
    pub criticality: Criticality,
    /// One line.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// `user:<id>`, `team:<id>`, `role:<name>`.
    #[schemars(length(min = 1, max = 50), inner(regex(pattern = r"^(user|team|role):[A-Za-z0-9_-]{1,64}$")))]
    pub recipients: Vec<String>,
    /// The rest, as of every message.
    #[serde(flatten)]
    pub content: Content,
}

fn announcement() -> String {
    "announcement".to_owned()
}

impl Example for SendMessage {
    fn example() -> Self {
        Self {
            topic: announcement(),
            category: Category::System,
            criticality: Criticality::Medium,
            title: "The build is frozen from noon".to_owned(),
            recipients: vec!["role:member".to_owned()],
            content: Content {
                body: "Please merge before **12:00**.".to_owned(),
                action_url: Some("/builds".to_owned()),
                action_label: Some("Open".to_owned()),
                ..Content::default()
            },
        }
    }
}

/// An accepted message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Acceptance {
    /// The message; for a repeat the first one.
    pub id: String,
    /// People who are known now; membership is read again when the message is told.
    pub accepted: u64,
    /// Recipients that the organization does not have.
    pub unknown: Vec<String>,
}

impl Example for Acceptance {
    fn example() -> Self {
        Self { id: coder_core::id::EXAMPLE.to_string(), accepted: 12, unknown: Vec::new() }
    }
}

async fn create(
    State(service): State<Notifications>,
    who: Allowed<MessageCreate>,
    Body(input): Body<SendMessage>,
) -> Result<Accepted<Acceptance>> {
    let organization_id = Some(who.organization_id);
    let id = service.runtime.ambient.new_uuid();
    let mut unit = who.begin(CONTAINER, partition(organization_id, &id.to_string())).await?;
    check_for_people(&service, &who, &input).await?;
    let found =
        service.directory.expand(organization_id, &input.recipients, input.content.project_id).await?;
    let (accepted, unknown) = (found.people.len() as u64, found.unknown.clone());
    let message = of_person(&who, input, &unknown);
    let fingerprint = service.fingerprint(&message)?;
    if let Some(first) = service.repeated(organization_id, &fingerprint).await? {
        service.count_repeat(organization_id, &first).await?;
        return unit.commit(Accepted(Acceptance { id: first, accepted, unknown })).await;
    }
    service.stage(&mut unit, id, &fingerprint, message)?;
    let id = id.to_string();
    taken_is_stale(unit.commit(Accepted(Acceptance { id, accepted, unknown })).await)
}

async fn check_for_people(
    service: &Notifications,
    who: &Allowed<MessageCreate>,
    input: &SendMessage,
) -> Result<()> {
    let mut faults = input.content.faults(service, false);
    let reserved = ["security.", "account.", "notifications."];
    if topics::find(&input.topic).is_some() || reserved.iter().any(|group| input.topic.starts_with(group)) {
        faults.push(Fault::new(
            "/topic",
            "reserved",
            "This is a topic of the platform; choose one of your own.",
        ));
    }
    if input.category == Category::Security {
        // Mail on it has no link that ends it, and looks like the platform's own.
        faults.push(Fault::new("/category", "reserved", "The platform alone writes of security."));
    }
    if input.criticality > Criticality::High {
        faults.push(Fault::new("/criticality", "not_allowed", "People send at most `high`."));
    }
    if let Some(project) = input.content.project_id
        && !reads(service, who, project).await?
    {
        faults.push(Fault::new("/projectId", "unknown", "There is no such project in this organization."));
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults).into()) }
}

/// Whether there is such a project and the sender may read it.
async fn reads(service: &Notifications, who: &Allowed<MessageCreate>, project: ProjectId) -> Result<bool> {
    let at = Scope::Project(project);
    let access = service.directory.access(who.organization_id, who.user_id, at).await?;
    Ok(access.scope_known && who.holds("users.project.read", at).await?)
}

fn of_person(who: &Allowed<MessageCreate>, input: SendMessage, unknown: &[String]) -> Message {
    Message {
        category: input.category,
        criticality: input.criticality,
        title: input.title,
        actor: Some(coder_middleware::unit::actor(who.context())),
        recipients: input.recipients.into_iter().filter(|one| !unknown.contains(one)).collect(),
        ..Message::new(input.topic, input.content)
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageFilters {
    /// Only in this state.
    pub status: Option<MessageStatus>,
    /// Only of this topic.
    #[schemars(length(max = 80))]
    pub topic: Option<String>,
    /// Only of this category.
    pub category: Option<Category>,
}

impl Filters for MessageFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        let mut all = Vec::new();
        all.extend(self.status.map(|status| Filter::eq("status", json!(status))));
        all.extend(self.topic.as_deref().map(|topic| Filter::eq("topic", topic)));
        all.extend(self.category.map(|category| Filter::eq("category", json!(category))));
        (!all.is_empty()).then_some(Filter::And(all))
    }
}

async fn list(
    State(service): State<Notifications>,
    who: Allowed<MessageInspect>,
    list: List<MessageFilters>,
) -> Result<Json<PageOf<MessageView>>> {
    let page = list.page(&service.messages(), &who.partition(), None).await?;
    let items = page.items.into_iter().map(|record| MessageView::of(record, None)).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

/// The message, for its sender and for those who may see every message; for others there is none.
async fn visible(
    service: &Notifications,
    who: &SignedIn,
    id: &str,
) -> Result<(OrganizationId, Partition, Record<Message>)> {
    let absent = || Failure::from(Problem::not_found("message"));
    let organization_id = who.organization_id.ok_or_else(absent)?;
    let partition = partition(Some(organization_id), id);
    let record = service.messages().find(&partition, id).await?.ok_or_else(absent)?;
    let sent =
        record.data.actor.as_ref().is_some_and(|actor| {
            actor.id == who.user_id.to_string() || actor.on_behalf_of == Some(who.user_id)
        });
    if sent || inspects(who.context(), organization_id, who.user_id).await? {
        return Ok((organization_id, partition, record));
    }
    Err(absent())
}

async fn inspects(
    context: &RequestContext,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<bool> {
    let held = effective(context, organization_id, user_id, Scope::Organization(organization_id)).await?;
    Ok(held.allows(<MessageInspect as coder_core::Permission>::DECLARATION.name))
}

async fn get(
    State(service): State<Notifications>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<MessageView>> {
    let (organization_id, _, record) = visible(&service, &who, &id).await?;
    let mut counts = BTreeMap::new();
    for delivery in deliveries_of(&service, Some(organization_id), &id).await? {
        *counts.entry(delivery.data.status).or_default() += 1;
    }
    Ok(Json(MessageView::of(record, Some(counts))))
}

async fn cancel(
    State(service): State<Notifications>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<MessageView>> {
    let (_, partition, before) = visible(&service, &who, &id).await?;
    let mut unit = who.begin(CONTAINER, partition).await?;
    if before.data.status != MessageStatus::Scheduled {
        let detail = "Only a scheduled message can be taken back.";
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    let cancelled = Message { status: MessageStatus::Cancelled, sealed: None, ..before.data.clone() };
    let (record, _) = unit.replace(&before, cancelled)?;
    unit.emit("message.cancelled", &id, json!({"messageId": id, "topic": record.data.topic}));
    unit.commit(Json(MessageView::of(record, None))).await
}

/// A delivery as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// The delivery.
    pub id: String,
    /// The person; null for a bare address.
    pub user_id: Option<UserId>,
    /// The channel.
    pub channel: Channel,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Why it stands there.
    pub reason: Option<String>,
    /// Who carried it.
    pub provider_id: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it leaves, if it is held or waits for a digest.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// When it last changed.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub updated_at: Timestamp,
}

impl From<Record<Delivery>> for DeliveryView {
    fn from(record: Record<Delivery>) -> Self {
        let Delivery { user_id, channel, status, reason, provider_id, attempts, next_attempt_at, .. } =
            record.data;
        let (id, updated_at) = (record.meta.id, record.meta.updated_at);
        Self { id, user_id, channel, status, reason, provider_id, attempts, next_attempt_at, updated_at }
    }
}

impl Example for DeliveryView {
    fn example() -> Self {
        Self {
            id: coder_core::id::EXAMPLE.to_string(),
            user_id: Some(coder_core::id::EXAMPLE.into()),
            channel: Channel::Email,
            status: DeliveryStatus::Held,
            reason: Some("quiet_hours".to_owned()),
            provider_id: None,
            attempts: 0,
            next_attempt_at: Some(Timestamp::UNIX_EPOCH),
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// Filters of the deliveries.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DeliveryFilters {
    /// Only in this state.
    pub status: Option<DeliveryStatus>,
    /// Only on this channel.
    pub channel: Option<Channel>,
}

impl Filters for DeliveryFilters {
    const SORT: &'static [&'static str] = &["createdAt"];

    fn filter(&self) -> Option<Filter> {
        let mut all = Vec::new();
        all.extend(self.status.map(|status| Filter::eq("status", status.as_str())));
        all.extend(self.channel.map(|channel| Filter::eq("channel", channel.as_str())));
        (!all.is_empty()).then_some(Filter::And(all))
    }
}

async fn deliveries(
    State(service): State<Notifications>,
    who: Allowed<MessageInspect>,
    Path(id): Path<String>,
    list: List<DeliveryFilters>,
) -> Result<Json<PageOf<DeliveryView>>> {
    service.messages().get(&partition(Some(who.organization_id), &id), &id).await?;
    let of_message = Some(Filter::eq("messageId", id.as_str()));
    let page = list.page(&service.deliveries(), &who.partition(), of_message).await?;
    let items = page.items.into_iter().map(DeliveryView::from).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}
