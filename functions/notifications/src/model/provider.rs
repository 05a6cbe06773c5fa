//! What carries mail: an organization's own servers, and how they have done of late.

use coder_core::{OrganizationId, Timestamp};
use coder_database::{Entity, Partition};
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::{Channel, of_tenant};
use crate::model::CONFIG;

/// Most providers of an organization.
pub const MAX_PROVIDERS: usize = 20;

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// A mail server.
    Smtp,
    /// Azure Communication Services; not configured on this platform.
    AzureEmail,
    /// Web push; reserved.
    Webpush,
    /// A server of the organization that takes mail as JSON by https.
    Webhook,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`.
    #[default]
    Starttls,
    /// None; only to this machine, in development.
    Plain,
}

/// Where the provider is. What a kind does not use stays empty; passwords are in `secretRef`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Host name of the mail server.
    #[schemars(length(max = 253))]
    pub host: Option<String>,
    /// Its port.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// How the connection is protected.
    pub protection: Protection,
    /// The name to sign in with; its password is the secret.
    #[schemars(length(max = 200))]
    pub username: Option<String>,
    /// The sender: an address, or `Name <address>`.
    #[schemars(length(max = 300))]
    pub from: Option<String>,
    /// Where mail is posted to, for the kind `webhook`.
    #[schemars(length(max = 2000))]
    pub url: Option<String>,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// What it carries.
    pub channel: Channel,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Where it is.
    pub config: ProviderConfig,
    /// Where its password or token is: `secret:<id>[#<field>]`.
    pub secret_ref: Option<String>,
    /// The least is used first.
    pub priority: i32,
    /// Whether it is used.
    pub enabled: bool,
    /// Most mails a day (UTC).
    pub daily_limit: Option<u32>,
}

impl Entity for Provider {
    const TYPE: &'static str = "provider";
}

/// Failures in a row after which a provider rests.
pub const OPEN_AFTER: u32 = 5;

/// How a provider has done of late. It is a document of its own, so that sending changes no tag of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProviderState {
    /// The provider.
    pub provider_id: String,
    /// Failures since the last success.
    pub failures: u32,
    /// Not used before this time.
    pub open_until: Option<Timestamp>,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When it last carried something.
    pub last_success_at: Option<Timestamp>,
    /// The day that `sent` counts.
    pub day: String,
    /// Mails of that day.
    pub sent: u32,
}

impl Entity for ProviderState {
    const TYPE: &'static str = "provider-state";
}

/// What the state says for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// The last attempt succeeded.
    Healthy,
    /// The last attempts failed.
    Degraded,
    /// It rests after too many failures.
    Down,
    /// It was not used yet.
    Unknown,
}

impl ProviderState {
    /// The document id.
    pub fn id(provider_id: &str) -> String {
        format!("provider-state:{provider_id}")
    }

    /// Where it is: beside the provider.
    pub fn partition(organization_id: Option<OrganizationId>) -> Partition {
        of_tenant(organization_id).bucket(CONFIG)
    }

    /// What it says for people.
    pub fn health(&self) -> Health {
        match self.failures {
            0 if self.last_success_at.is_some() => Health::Healthy,
            0 => Health::Unknown,
            failures if failures < OPEN_AFTER => Health::Degraded,
            _ => Health::Down,
        }
    }

    /// Mails of the day.
    pub fn sent_on(&self, day: &str) -> u32 {
        if self.day == day { self.sent } else { 0 }
    }
}

impl Example for ProviderConfig {
    fn example() -> Self {
        Self {
            host: Some("mail.example.com".to_owned()),
            port: Some(587),
            username: Some("coder".to_owned()),
            from: Some("Acme <no-reply@example.com>".to_owned()),
            ..Self::default()
        }
    }
}
