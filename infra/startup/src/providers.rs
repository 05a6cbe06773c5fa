//! The providers that the settings name: those of the cloud if all of its services are set, the embedded ones if none
//! is. Settings in between are refused before they get here.

use std::sync::Arc;

use coder_cache::{Cache, RateLimiter, Revocations};
use coder_config::{Provider, Settings};
use coder_core::Ambient;
use coder_database::DocumentStore;
use coder_embedded::{OpenError, SqliteBroker, SqliteStore};
use coder_handler::{Admission, Health};
use coder_queue::Publisher;
use coder_telemetry::Metrics;
use coder_vault::{KeyVault, MasterKey};

use crate::relay::Relay;

/// Everything that groups share in one process.
#[derive(Debug, Clone)]
pub struct Providers {
    /// Settings.
    pub settings: Arc<Settings>,
    /// Time, randomness, ids.
    pub ambient: Ambient,
    /// Documents.
    pub store: Arc<dyn DocumentStore>,
    /// Takes messages for the broker.
    pub publisher: Arc<dyn Publisher>,
    /// The key that all others are derived from.
    pub master: MasterKey,
    /// Wraps the data keys of tenants.
    pub vault: Arc<dyn KeyVault>,
    /// Token buckets.
    pub limiter: Arc<dyn RateLimiter>,
    /// What processes tell each other for a short while, where there are several.
    pub cache: Option<Arc<dyn Cache>>,
    /// What has been revoked.
    pub revocations: Arc<Revocations>,
    /// Carries revocations to other processes.
    pub relay: Arc<Relay>,
    /// Counters.
    pub metrics: Metrics,
    /// Whether the services behind all this answer.
    pub health: Arc<Health>,
    /// What lets calls into the apps of other groups, where those are closed to everybody else.
    pub admission: Option<Arc<dyn Admission>>,
    /// What only the embedded providers have; `None` in the cloud.
    pub local: Option<Local>,
}

/// The embedded providers themselves, for what the cloud does without being asked.
#[derive(Debug, Clone)]
pub struct Local {
    /// The store, for its sweep; `None` where another keeps the documents.
    pub store: Option<Arc<SqliteStore>>,
    /// The broker, for whoever delivers its messages.
    pub broker: Arc<SqliteBroker>,
}

/// Why the platform, or a handler, does not start. Each is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The embedded store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The master key file.
    #[error(
        "the master key in `{path}` cannot be read or made: {cause}; mend the file's permissions, or set `CODER_MASTER_KEY`"
    )]
    MasterKey {
        /// The data directory.
        path: String,
        /// The operating system's word.
        cause: std::io::Error,
    },
    /// Azure is configured, but this program was built without it.
    #[error(
        "the settings name Azure services, but this program has the embedded providers only; unset them, or run the packaged handler"
    )]
    NoAzure,
    /// Azure is configured, but its messages are delivered by the Functions host, not by this process.
    #[error(
        "the settings name Azure services, whose messages and timers come from the Functions host; unset them to run the whole platform in one process"
    )]
    NotLocal,
    /// The cloud makes no key by itself.
    #[error(
        "`CODER_MASTER_KEY` is not set, and with Azure services no key is made; set it from the key vault"
    )]
    NoMasterKey,
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {cause}; stop whatever uses the port, or choose another with `--port` (0 takes any free one)"
    )]
    Listen {
        /// Host and port.
        address: String,
        /// The operating system's word.
        cause: std::io::Error,
    },
    /// A group's declaration cannot be served.
    #[error("a route group is declared wrongly: {0}")]
    Declaration(String),
    /// Something that has no business failing.
    #[error("{0}")]
    Other(String),
}

impl Providers {
    /// Opens the providers. The embedded ones touch the data directory only; those of the cloud are reached when they
    /// are first needed. Nothing goes over a network here.
    pub fn open(settings: Settings, ambient: Ambient) -> Result<Self, StartError> {
        match settings.provider.clone() {
            Provider::Embedded => crate::embedded::open(settings, ambient),
            #[cfg(feature = "azure")]
            Provider::Azure(azure) => crate::azure::open(&azure, settings, ambient),
            #[cfg(not(feature = "azure"))]
            Provider::Azure(_) => Err(StartError::NoAzure),
        }
    }
}
