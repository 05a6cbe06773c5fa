//! The settings as the rest of the platform sees them: parsed, checked, complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coder_core::UserId;
use ipnet::IpNet;
use secrecy::SecretBox;
use url::Url;

use crate::mail::Smtp;

/// Everything that can be set. See [`crate::VARIABLES`] for the variables and their defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Development or production.
    pub environment: Environment,
    /// Where clients reach the platform; no trailing slash is to be relied on.
    pub public_url: Url,
    /// Port of the gateway.
    pub port: u16,
    /// Port of a handler that the Functions host started.
    pub handler_port: Option<u16>,
    /// Folder of the embedded store.
    pub data_dir: PathBuf,
    /// The master key; always there in production.
    pub master_key: Option<Arc<SecretBox<[u8; 32]>>>,
    /// Who may register.
    pub registration: Registration,
    /// Whether a new address has to be confirmed.
    pub email_verification: EmailVerification,
    /// The mail server, if mail can be sent.
    pub smtp: Option<Smtp>,
    /// Origins as browsers write them: scheme, host, port if unusual.
    pub allowed_origins: BTreeSet<String>,
    /// Addresses that a sign-in may return to.
    pub redirect_uris: BTreeSet<Url>,
    /// Who holds `platform.*`.
    pub operators: BTreeSet<UserId>,
    /// Groups that run elsewhere, by name in lower case. Whether the groups exist is the gateway's to check.
    pub upstreams: BTreeMap<String, Url>,
    /// Whether customers' addresses may lead to this machine.
    pub outbound_allow_loopback: bool,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Rate limits.
    pub limits: Limits,
    /// How durable a commit of the embedded store is.
    pub store_sync: StoreSync,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged: directives such as `info,coder_gateway=debug`.
    pub log_level: String,
    /// Where documents, events and keys are kept.
    pub provider: Provider,
}

/// What the platform is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// On a developer's machine.
    Development,
    /// For customers.
    Production,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anyone.
    Open,
    /// Those with an invitation.
    Invite,
    /// Nobody.
    Closed,
}

/// Whether a new address has to be confirmed before the first sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailVerification {
    /// It has to.
    Required,
    /// It can be.
    Optional,
}

/// What a commit in the embedded store outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreSync {
    /// A killed process.
    Normal,
    /// A power cut too.
    Full,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Requests a minute; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From one address.
    pub address_per_minute: u32,
    /// By one user or API key.
    pub user_per_minute: u32,
    /// In one organization.
    pub organization_per_minute: u32,
    /// From one address to operations that ask for no credential.
    pub public_per_minute: u32,
    /// Changes to one organization, in groups that limit them.
    pub writes_per_minute: u32,
}

/// Which implementation stands behind the platform's traits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Everything on this machine, in the data directory.
    Embedded,
    /// Azure's services.
    Azure(Box<AzureSettings>),
}

/// Where Azure's services are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureSettings {
    /// Cosmos DB account.
    pub cosmos_endpoint: Url,
    /// Service Bus namespace, a host name.
    pub servicebus_namespace: String,
    /// Key Vault.
    pub keyvault_url: Url,
    /// Managed Redis, a host name.
    pub redis_host: String,
    /// Client id of the managed identity.
    pub client_id: String,
    /// What tokens name that let calls into other groups' apps, if those are closed to everybody else.
    pub platform_audience: Option<String>,
}

/// Gives the variants of a setting the words that are written for them.
macro_rules! words {
    ($($type:ident: $($variant:ident = $word:literal),+;)+) => {
        $(
            impl $type {
                /// Every word with what it stands for.
                pub(crate) const WORDS: &[(&str, Self)] = &[$(($word, Self::$variant)),+];

                /// The word as it is written in the variable.
                pub fn as_str(self) -> &'static str {
                    match self { $(Self::$variant => $word),+ }
                }
            }
        )+
    };
}

words! {
    Environment: Development = "development", Production = "production";
    Registration: Open = "open", Invite = "invite", Closed = "closed";
    EmailVerification: Required = "required", Optional = "optional";
    StoreSync: Normal = "normal", Full = "full";
    LogFormat: Text = "text", Json = "json";
}

impl Settings {
    /// Settings for a test: development, embedded, port 0, a fixed master key, data in this folder.
    ///
    /// # Panics
    /// If the defaults are not valid settings, which a test excludes.
    #[expect(clippy::expect_used, reason = "the defaults are constants")]
    pub fn for_tests(data_dir: impl AsRef<Path>) -> Self {
        let defaults = Self::from_map(&BTreeMap::new()).expect("the defaults are valid");
        Self {
            port: 0,
            data_dir: data_dir.as_ref().to_owned(),
            master_key: Some(Arc::new(SecretBox::new(Box::new([7; 32])))),
            outbound_allow_loopback: true,
            ..defaults
        }
    }

    /// Whether the platform serves customers.
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }
}
