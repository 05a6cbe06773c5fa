//! An organization's webhook, and what it was sent.

use coder_core::{OrganizationId, Timestamp};
use coder_database::{Entity, Partition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::of_tenant;
use crate::model::CONFIG;

/// Most webhooks of an organization.
pub const MAX_WEBHOOKS: usize = 20;

/// Failures in a row after which a webhook is switched off.
pub const MAX_FAILURES: u32 = 50;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// For people.
    pub name: String,
    /// Where events are posted to.
    pub url: String,
    /// Patterns of topics such as `task.*`; empty for all.
    pub topics: Vec<String>,
    /// The signing secret, encrypted.
    pub sealed_secret: String,
    /// Whether it is used.
    pub enabled: bool,
    /// Failures since the last success.
    pub failures: u32,
    /// Why it was switched off.
    pub disabled_reason: Option<String>,
}

impl Entity for Webhook {
    const TYPE: &'static str = "webhook";
    const SECRET: &'static [&'static str] = &["sealedSecret"];
}

impl Webhook {
    /// Where an organization's webhooks are.
    pub fn partition(organization_id: OrganizationId) -> Partition {
        Partition::organization(organization_id).bucket(CONFIG)
    }

    /// Whether it wants to hear of a topic.
    pub fn wants(&self, topic: &str) -> bool {
        self.topics.is_empty()
            || self.topics.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => topic.starts_with(start),
                None => topic == pattern,
            })
    }
}

/// Where a delivery to a webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebhookDeliveryStatus {
    /// Waits for its next attempt.
    Pending,
    /// The target took it.
    Delivered,
    /// Given up.
    Failed,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAttempt {
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why there was no good answer.
    pub error: Option<String>,
}

/// One event for one webhook, in the webhook's own bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// The webhook.
    pub webhook_id: String,
    /// The topic.
    pub topic: String,
    /// The event as it is posted.
    pub event: String,
    /// Where it stands.
    pub status: WebhookDeliveryStatus,
    /// Every attempt of this round.
    pub attempts: Vec<WebhookAttempt>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The job that makes the next attempt; others are out of date.
    pub job_id: Option<String>,
}

impl Entity for WebhookDelivery {
    const TYPE: &'static str = "webhook-delivery";
    const SECRET: &'static [&'static str] = &["event"];
}

impl WebhookDelivery {
    /// The bucket of a webhook's deliveries.
    pub fn partition(organization_id: Option<OrganizationId>, webhook_id: &str) -> Partition {
        of_tenant(organization_id).bucket(format!("webhook:{webhook_id}"))
    }
}
