//! A rendered mail in the outbox.

use coder_core::{OrganizationId, Timestamp, UserId};
use coder_database::{Entity, Partition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::{Criticality, DeliveryPlace, of_tenant};

/// The bucket of the outbox.
pub const OUTBOX: &str = "outbox";

/// Seconds for which a mail is kept.
pub const MAIL_SECONDS: i64 = 30 * 86_400;

/// Seconds for which a sensitive mail or message waits at most with what it says.
pub const SENSITIVE_SECONDS: i64 = 86_400;

/// Where a mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailState {
    /// Waits for its turn.
    Queued,
    /// A mail server took it.
    Sent,
    /// Given up.
    Undeliverable,
    /// There is nobody to carry it.
    Kept,
}

/// A header beyond those that every mail has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A mail, rendered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxMail {
    /// The address.
    pub to: String,
    /// The sender, once it is known who carries the mail.
    pub from: Option<String>,
    /// One line; hidden if the body is sealed.
    pub subject: String,
    /// Plain text; nothing if it is sealed or erased.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// Subject and bodies, encrypted: for sensitive mail.
    pub sealed: Option<String>,
    /// Further headers.
    pub headers: Vec<MailHeader>,
    /// What the mail is known by.
    pub message_id: String,
    /// Whether the body holds a secret.
    pub sensitive: bool,
    /// Where it stands.
    pub state: MailState,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The job that makes the next attempt; others are out of date.
    pub job_id: Option<String>,
    /// Who carried it.
    pub provider_id: Option<String>,
    /// What it is about.
    pub topic: String,
    /// How much it matters.
    pub criticality: Criticality,
    /// The person; `None` for a bare address.
    pub user_id: Option<UserId>,
    /// The delivery that it belongs to.
    pub place: DeliveryPlace,
}

impl Entity for OutboxMail {
    const TYPE: &'static str = "mail";
    const SECRET: &'static [&'static str] = &["text", "html", "sealed"];
}

impl OutboxMail {
    /// Where an organization's mail is, or that of the platform.
    pub fn partition(organization_id: Option<OrganizationId>) -> Partition {
        of_tenant(organization_id).bucket(OUTBOX)
    }

    /// Forgets the body.
    pub fn erase(&mut self) {
        (self.text, self.html, self.sealed) = (None, None, None);
    }

    /// Whether there is anything to send.
    pub fn has_body(&self) -> bool {
        self.text.is_some() || self.sealed.is_some()
    }
}

/// An address that nobody reads mail at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suppression {
    /// Hash of the address in lower case; the document's id ends in it too.
    pub address_hash: String,
    /// Who had the address.
    pub user_id: Option<UserId>,
    /// What the mail server said.
    pub reason: String,
}

impl Entity for Suppression {
    const TYPE: &'static str = "suppression";
}

impl Suppression {
    /// The hash of an address.
    pub fn hash(address: &str) -> String {
        coder_core::text::sha256_hex(&[address.to_lowercase()])
    }

    /// The document id.
    pub fn id(address: &str) -> String {
        format!("suppression:{}", Self::hash(address))
    }
}
