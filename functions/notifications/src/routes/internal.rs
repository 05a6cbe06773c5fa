//! Messages of other groups of the platform.

use std::collections::BTreeMap;

use coder_core::{Actor, ActorKind, OrganizationId, Problem, ProjectId, Result, TeamId, Timestamp, UserId};
use coder_handler::Routes;
use coder_middleware::{Accepted, Access as _, Body, Example, FromService, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::messages::{Acceptance, check};
use crate::CONTAINER;
use crate::accept::{fingerprint, partition, taken_is_stale};
use crate::deliver::{Category, Channel, Criticality, ResourceReference};
use crate::model::message::{Message, MessageStatus};
use crate::pipeline::variables;
use crate::service::Notifications;
use crate::templates::texts;
use crate::topics;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes.post("/internal/messages", "create_internal_message", "Send a message of the platform", create)
}

/// A message of the platform.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendInternal {
    /// The tenant; without one only people and addresses can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// The topic.
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[a-z0-9-]+(\.[a-z0-9-]+)*$"))]
    pub topic: String,
    /// What it is about; the topic's own if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// How much it matters; the topic's own if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<Criticality>,
    /// One line; without it the topic's template is rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// Plain text or the Markdown subset.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub body: String,
    /// What the template may name; at most 16 KiB.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub data: Value,
    /// A path of the application, or an address of an allowed origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub action_url: Option<String>,
    /// The words on the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub action_label: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceReference>,
    /// Only people who may read this project are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The team whose defaults apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// Who did what the message tells; they are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_user_id: Option<UserId>,
    /// `user:<id>`, `team:<id>`, `role:<name>`, `email:<address>`.
    #[schemars(
        length(min = 1, max = 1000),
        inner(regex(pattern = r"^(user|team|role|lead|email):.{1,254}$"))
    )]
    pub recipients: Vec<String>,
    /// The only channels to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5))]
    pub channels: Option<Vec<Channel>>,
    /// Not before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub scheduled_for: Option<Timestamp>,
    /// Not after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// A repeat with the same key within an hour is answered with the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub dedup_key: Option<String>,
    /// The text holds a secret: mail only, encrypted until it is sent.
    #[serde(default)]
    pub sensitive: bool,
}

impl Example for SendInternal {
    fn example() -> Self {
        Self {
            organization_id: Some(coder_core::id::EXAMPLE.into()),
            topic: "task.assigned".to_owned(),
            category: None,
            criticality: None,
            title: None,
            body: String::new(),
            data: json!({"key": "ENG-12", "title": "Speed the parser up"}),
            action_url: None,
            action_label: None,
            resource: None,
            project_id: None,
            team_id: None,
            actor_user_id: None,
            recipients: vec!["role:admin".to_owned()],
            channels: None,
            scheduled_for: None,
            expires_at: None,
            dedup_key: Some("task-12-assigned".to_owned()),
            sensitive: false,
        }
    }
}

async fn create(
    State(service): State<Notifications>,
    who: FromService,
    Body(input): Body<SendInternal>,
) -> Result<Accepted<Acceptance>> {
    let link = input.action_url.as_deref().filter(|_| !input.sensitive);
    let faults = check(&service, &input.data, link, input.scheduled_for, input.expires_at);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    let organization_id = input.organization_id;
    let id = service.runtime.ambient.new_uuid();
    let mut unit = who.begin(CONTAINER, partition(organization_id, &id.to_string())).await?;
    let (addresses, people): (Vec<String>, Vec<String>) =
        input.recipients.iter().cloned().partition(|to| to.starts_with("email:"));
    let found = service.directory.expand(organization_id, &people, input.project_id).await?;
    let accepted = (found.people.len() + addresses.len()) as u64;
    let unknown = found.unknown.clone();
    let message = message(&service, &who.group, input, &unknown).await?;
    let fingerprint = fingerprint(&message)?;
    if let Some(first) = service.repeated(organization_id, &fingerprint).await? {
        service.count_repeat(organization_id, &first).await?;
        return unit.commit(Accepted(Acceptance { id: first, accepted, unknown })).await;
    }
    service.stage(&mut unit, id, &fingerprint, message)?;
    let id = id.to_string();
    taken_is_stale(unit.commit(Accepted(Acceptance { id, accepted, unknown })).await)
}

async fn message(
    service: &Notifications,
    group: &str,
    input: SendInternal,
    unknown: &[String],
) -> Result<Message> {
    let topic = topics::find(&input.topic);
    let criticality = topic.map(|topic| topic.criticality(&input.data)).unwrap_or_default();
    let actor = match input.actor_user_id {
        Some(user_id) => Actor::new(ActorKind::User, user_id.to_string()),
        None => Actor::new(ActorKind::Service, group),
    };
    let mut message = Message {
        category: input.category.or(topic.map(|topic| topic.category)).unwrap_or_default(),
        criticality: input.criticality.unwrap_or(criticality),
        templated: input.title.is_none(),
        title: input.title.unwrap_or_default(),
        topic: input.topic,
        body: input.body,
        data: input.data,
        sealed: None,
        sensitive: input.sensitive,
        action_url: input.action_url,
        action_label: input.action_label,
        resource: input.resource,
        project_id: input.project_id,
        team_id: input.team_id,
        actor: Some(actor),
        tells_actor: topic.is_some_and(|topic| topic.locked),
        recipients: input.recipients.into_iter().filter(|one| !unknown.contains(one)).collect(),
        channels: input.channels,
        scheduled_for: input.scheduled_for,
        expires_at: input.expires_at,
        dedup_key: input.dedup_key,
        status: MessageStatus::Processing,
        repeats: 0,
    };
    if message.templated {
        let variables = variables(&message, None);
        let english = texts(service, input.organization_id, &message.topic, "en", &variables).await?;
        (message.title, message.body) = (english.title, english.body);
    }
    Ok(message)
}
