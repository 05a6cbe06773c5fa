//! What would happen with a message now, and which rule decided.

use coder_core::{Fault, Problem, ProjectId, Result, Timestamp};
use coder_handler::Routes;
use coder_middleware::{Example, Json, Query, SignedIn, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::deliver::{Channel, Criticality, DeliveryStatus};
use crate::plan::{MailPlan, plan_mail, quiet_end};
use crate::resolve::{Decision, Question, resolve};
use crate::service::Notifications;
use crate::topics;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes.get("/preferences/resolved", "resolve_preferences", "Say how you would be told, and why", resolved)
}

/// What is asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The topic.
    #[schemars(length(min = 1, max = 80))]
    pub topic: String,
    /// The project of the message.
    pub project_id: Option<ProjectId>,
    /// How much the message matters; as the topic usually does if unset.
    pub criticality: Option<Criticality>,
}

/// What would happen on a channel.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// What was decided, and by which rule.
    #[serde(flatten)]
    pub decision: Decision,
    /// `delivered`, `pending`, `held`, `digested` or `suppressed`.
    pub would_be: DeliveryStatus,
    /// When a held or gathered one would leave.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
}

/// What would happen with a message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedView {
    /// The topic.
    pub topic: String,
    /// How much it matters.
    pub criticality: Criticality,
    /// Each channel.
    pub channels: Vec<Outlook>,
    /// Until when nothing disturbs.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub quiet_until: Option<Timestamp>,
}

impl Example for ResolvedView {
    fn example() -> Self {
        let email = Outlook { decision: Decision::example(), would_be: DeliveryStatus::Pending, until: None };
        Self {
            topic: "task.assigned".to_owned(),
            criticality: Criticality::Medium,
            channels: vec![email],
            quiet_until: None,
        }
    }
}

async fn resolved(
    State(service): State<Notifications>,
    who: SignedIn,
    Query(asked): Query<Asked>,
) -> Result<Json<ResolvedView>> {
    let topic = topics::find(&asked.topic);
    let usual = topic.map(|topic| topic.criticality(&Value::Null)).unwrap_or_default();
    let criticality = asked.criticality.unwrap_or(usual);
    let me = [format!("user:{}", who.user_id)];
    let found = service.directory.expand(who.organization_id, &me, asked.project_id).await?;
    let Some(person) = found.people.first() else {
        let message = "You would not be told: you cannot read this project.";
        return Err(Problem::invalid(vec![Fault::new("/projectId", "unknown", message)]).into());
    };
    let mut layers = service.shared_layers(who.organization_id, None, asked.project_id).await?;
    layers.extend(service.own_layer(who.organization_id, who.user_id).await?.map(|own| own.data));
    let layers: Vec<_> = layers.iter().collect();
    let question = Question { topic: &asked.topic, criticality, channels: None };
    let resolved = resolve(question, &layers);
    let (now, zone) = (service.now(), person.time_zone.as_str());
    let outlook = |decision: &Decision| {
        let (would_be, until) = match decision.channel {
            Channel::Email => {
                let MailPlan { status, due, .. } =
                    plan_mail(decision, &resolved, criticality, false, zone, now);
                (status, due)
            }
            _ if decision.enabled => (DeliveryStatus::Delivered, None),
            _ => (DeliveryStatus::Suppressed, None),
        };
        Outlook { decision: decision.clone(), would_be, until }
    };
    Ok(Json(ResolvedView {
        topic: asked.topic.clone(),
        criticality,
        channels: resolved.decisions.iter().map(outlook).collect(),
        quiet_until: quiet_end(&resolved, criticality, now),
    }))
}
