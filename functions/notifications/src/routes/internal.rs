//! Messages of other groups of the platform.

use coder_core::{Actor, ActorKind, OrganizationId, Problem, Result, UserId};
use coder_handler::Routes;
use coder_middleware::{Accepted, Access as _, Body, Example, FromService, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::messages::Acceptance;
use crate::CONTAINER;
use crate::accept::{partition, taken_is_stale};
use crate::deliver::{Category, Criticality};
use crate::model::content::Content;
use crate::model::message::Message;
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
    /// Who did what the message tells; they are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_user_id: Option<UserId>,
    /// `user:<id>`, `team:<id>`, `role:<name>`, `email:<address>`.
    #[schemars(
        length(min = 1, max = 1000),
        inner(regex(pattern = r"^(user|team|role|lead|email):.{1,254}$"))
    )]
    pub recipients: Vec<String>,
    /// The text holds a secret: mail only, encrypted until it is sent.
    #[serde(default)]
    pub sensitive: bool,
    /// The rest, as of every message.
    #[serde(flatten)]
    pub content: Content,
}

impl Example for SendInternal {
    fn example() -> Self {
        Self {
            organization_id: Some(coder_core::id::EXAMPLE.into()),
            topic: "task.assigned".to_owned(),
            category: None,
            criticality: None,
            title: None,
            actor_user_id: None,
            recipients: vec!["role:admin".to_owned()],
            sensitive: false,
            content: Content {
                data: json!({"key": "ENG-12", "title": "Speed the parser up"}),
                dedup_key: Some("task-12-assigned".to_owned()),
                ..Content::default()
            },
        }
    }
}

async fn create(
    State(service): State<Notifications>,
    who: FromService,
    Body(input): Body<SendInternal>,
) -> Result<Accepted<Acceptance>> {
    let faults = input.content.faults(&service, input.sensitive);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    let organization_id = input.organization_id;
    let id = service.runtime.ambient.new_uuid();
    let mut unit = who.begin(CONTAINER, partition(organization_id, &id.to_string())).await?;
    let (addresses, people): (Vec<String>, Vec<String>) =
        input.recipients.iter().cloned().partition(|to| to.starts_with("email:"));
    let found = service.directory.expand(organization_id, &people, input.content.project_id).await?;
    let accepted = (found.people.len() + addresses.len()) as u64;
    let unknown = found.unknown.clone();
    let message = message(&service, &who.group, input, &unknown).await?;
    let fingerprint = service.fingerprint(&message)?;
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
    let criticality = topic.map(|topic| topic.criticality(&input.content.data)).unwrap_or_default();
    let actor = match input.actor_user_id {
        Some(user_id) => Actor::new(ActorKind::User, user_id.to_string()),
        None => Actor::new(ActorKind::Service, group),
    };
    let mut message = Message {
        category: input.category.or(topic.map(|topic| topic.category)).unwrap_or_default(),
        criticality: input.criticality.unwrap_or(criticality),
        templated: input.title.is_none(),
        title: input.title.unwrap_or_default(),
        sensitive: input.sensitive,
        actor: Some(actor),
        tells_actor: topic.is_some_and(|topic| topic.locked),
        recipients: input.recipients.into_iter().filter(|one| !unknown.contains(one)).collect(),
        ..Message::new(input.topic, input.content)
    };
    if message.templated {
        let variables = variables(&message, None);
        let english = texts(service, input.organization_id, &message.topic, "en", &variables).await?;
        (message.title, message.body) = (english.title, english.body);
    }
    Ok(message)
}
