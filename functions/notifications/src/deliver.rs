//! What the pipeline hands over: a delivery for each person and channel, and the mail that is to be rendered for it.
//!
//! The pipeline writes the [`Delivery`], then calls [`crate::outbox::queue`] with a [`MailRequest`]. Whoever sends the
//! mail tells what became of it with [`settle`].

use coder_core::{Code, Failure, OrganizationId, Result, Timestamp, UserId};
use coder_database::{Entity, Partition};
use coder_handler::{Invocation, retry_stale};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::service::Notifications;

/// How a person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The list in the application.
    Inbox,
    /// Electronic mail.
    Email,
    /// Web push; reserved.
    Push,
    /// A call to the organization's own server.
    Webhook,
    /// Text messages; reserved.
    Sms,
}

impl Channel {
    /// The name in documents and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Email => "email",
            Self::Push => "push",
            Self::Webhook => "webhook",
            Self::Sms => "sms",
        }
    }
}

/// How much a message matters, the least first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Good to know.
    Low,
    /// Worth a look.
    #[default]
    Medium,
    /// Somebody waits.
    High,
    /// Passes quiet hours and limits.
    Critical,
}

impl Criticality {
    /// The name in documents and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a message is about, roughly.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say all")]
pub enum Category {
    Project,
    Collaboration,
    Planning,
    Execution,
    Workflow,
    Calendar,
    Incident,
    Security,
    Billing,
    #[default]
    System,
}

/// The resource that a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceReference {
    /// Its kind, such as `task`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 80))]
    pub kind: String,
    /// Its id.
    #[schemars(length(min = 1, max = 200))]
    pub id: String,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// Waits for its turn.
    Pending,
    /// Waits for the end of quiet hours.
    Held,
    /// Waits for the next digest.
    Digested,
    /// On its way.
    Sending,
    /// Handed over.
    Sent,
    /// Known to have arrived.
    Delivered,
    /// Known to have been read.
    Opened,
    /// Given up.
    Failed,
    /// Came back.
    Bounced,
    /// Left out on purpose; the reason says why.
    Suppressed,
}

impl DeliveryStatus {
    /// The name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Digested => "digested",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Opened => "opened",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Suppressed => "suppressed",
        }
    }
}

/// One message to one person on one channel, in the person's bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The message.
    pub message_id: String,
    /// The person; `None` for a bare address.
    pub user_id: Option<UserId>,
    /// The channel.
    pub channel: Channel,
    /// The topic of the message.
    pub topic: String,
    /// Who carried it.
    pub provider_id: Option<String>,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Why it stands there.
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When held or digested mail leaves.
    pub next_attempt_at: Option<Timestamp>,
    /// The carrier's name for it.
    pub provider_message_id: Option<String>,
    /// SHA-256 of what was sent.
    pub rendered_hash: Option<String>,
    /// The mail, while it is held or waits for a digest.
    pub mail: Option<MailRequest>,
}

impl Entity for Delivery {
    const TYPE: &'static str = "delivery";
    const SECRET: &'static [&'static str] = &["mail"];
}

/// Where a delivery is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryPlace {
    /// The tenant; `None` for what stands above organizations.
    pub organization_id: Option<OrganizationId>,
    /// The bucket: `user:<id>`, or `address:<hash>` for a bare address.
    pub bucket: String,
    /// The delivery's id; the outbox document has the same.
    pub delivery_id: String,
}

impl DeliveryPlace {
    /// The partition of the delivery.
    pub fn partition(&self) -> Partition {
        of_tenant(self.organization_id).bucket(&self.bucket)
    }
}

/// An organization's partition, or the platform's own.
pub fn of_tenant(organization_id: Option<OrganizationId>) -> Partition {
    organization_id.map_or_else(Partition::platform, Partition::organization)
}

/// A mail that is to be rendered and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailRequest {
    /// The delivery that it belongs to. Its id makes a repeated request harmless, and is the `Message-ID`.
    pub place: DeliveryPlace,
    /// The message.
    pub message_id: String,
    /// The person; `None` for a bare address.
    pub user_id: Option<UserId>,
    /// The address, without a name.
    pub to: String,
    /// The language of the template, such as `en`.
    pub locale: String,
    /// The zone in which times are written.
    pub time_zone: String,
    /// Which template.
    pub topic: String,
    /// What it is about.
    pub category: Category,
    /// How much it matters: attempts and their spacing follow.
    pub criticality: Criticality,
    /// The title for people, rendered already.
    pub title: String,
    /// The text for people, rendered already.
    pub body: String,
    /// Where it leads: a path of the application, or an allowed address.
    pub action_url: Option<String>,
    /// The words on the button.
    pub action_label: Option<String>,
    /// What it is about; mails on one resource are one thread.
    pub resource: Option<ResourceReference>,
    /// What the template may name: `user`, `actor`, `data`, `resource`, `title`, `body`; `items` in a digest.
    pub variables: Value,
    /// The text holds a secret: encrypted, erased after sending, without a link to unsubscribe.
    pub sensitive: bool,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where it stands now.
    pub status: DeliveryStatus,
    /// Why, for failures.
    pub reason: Option<String>,
    /// Who carried it.
    pub provider_id: Option<String>,
    /// The carrier's name for it.
    pub provider_message_id: Option<String>,
    /// SHA-256 of what was sent.
    pub rendered_hash: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
}

/// Notes what became of a delivery, in its document and as an event. A repeat changes
/// nothing.
pub async fn settle(
    service: &Notifications,
    run: &Invocation,
    place: &DeliveryPlace,
    outcome: &Outcome,
) -> Result<()> {
    let deliveries = service.deliveries();
    let partition = place.partition();
    retry_stale(|| async {
        let Some(before) = deliveries.find(&partition, &place.delivery_id).await? else { return Ok(()) };
        let after = settled(&before.data, outcome);
        if after == before.data {
            return Ok(());
        }
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        if before.data.status != after.status
            && let Some(name) = event_name(after.status)
        {
            unit.emit(name, &before.meta.id, event(&after));
        }
        unit.replace(&before, after)?;
        run.commit(unit).await
    })
    .await
}

fn settled(before: &Delivery, outcome: &Outcome) -> Delivery {
    let Outcome { status, reason, provider_id, provider_message_id, rendered_hash, attempts } =
        outcome.clone();
    Delivery {
        status,
        reason,
        provider_id: provider_id.or_else(|| before.provider_id.clone()),
        provider_message_id: provider_message_id.or_else(|| before.provider_message_id.clone()),
        rendered_hash: rendered_hash.or_else(|| before.rendered_hash.clone()),
        attempts,
        next_attempt_at: None,
        mail: None,
        ..before.clone()
    }
}

fn event_name(status: DeliveryStatus) -> Option<&'static str> {
    match status {
        DeliveryStatus::Sent => Some("delivery.sent"),
        DeliveryStatus::Failed => Some("delivery.failed"),
        DeliveryStatus::Bounced => Some("delivery.bounced"),
        _ => None,
    }
}

/// What the events of a delivery say.
pub(crate) fn event(delivery: &Delivery) -> Value {
    json!({
        "messageId": delivery.message_id,
        "userId": delivery.user_id,
        "channel": delivery.channel,
        "providerId": delivery.provider_id,
        "reason": delivery.reason,
    })
}

/// Whether a failure says that the thing is there already.
pub(crate) fn is_taken(failure: &Failure) -> bool {
    failure.code() == Some(Code::AlreadyExists)
}
