//! The providers that the settings name. Only the embedded ones are compiled in here.

use std::sync::Arc;

use coder_cache::{MemoryLimiter, RateLimiter, Revocations};
use coder_config::{Provider, Settings, StoreSync};
use coder_core::Ambient;
use coder_database::DocumentStore;
use coder_embedded::{OpenError, Options, SqliteBroker, SqliteStore, Synchronous};
use coder_queue::Publisher;
use coder_telemetry::Metrics;
use coder_vault::MasterKey;
use secrecy::ExposeSecret as _;

use crate::outbox::Counted;

/// Everything that groups share in one process.
#[derive(Debug, Clone)]
pub struct Providers {
    /// Settings.
    pub settings: Arc<Settings>,
    /// Time, randomness, ids.
    pub ambient: Ambient,
    /// Documents.
    pub store: Arc<dyn DocumentStore>,
    /// The embedded store itself, for its sweep.
    pub embedded: Arc<SqliteStore>,
    /// The embedded broker, for whoever delivers its messages.
    pub broker: Arc<SqliteBroker>,
    /// Takes messages for the broker.
    pub publisher: Arc<dyn Publisher>,
    /// The key that all others are derived from.
    pub master: MasterKey,
    /// Token buckets.
    pub limiter: Arc<dyn RateLimiter>,
    /// What has been revoked.
    pub revocations: Arc<Revocations>,
    /// Counters.
    pub metrics: Metrics,
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
    /// Opens the providers. Touches the data directory only; nothing goes over a network.
    pub fn open(settings: Settings, ambient: Ambient) -> Result<Self, StartError> {
        if settings.provider != Provider::Embedded {
            return Err(StartError::NoAzure);
        }
        let synchronous = match settings.store_sync {
            StoreSync::Normal => Synchronous::Normal,
            StoreSync::Full => Synchronous::Full,
        };
        let options = Options { synchronous, ..Options::default() };
        let embedded = Arc::new(SqliteStore::open(&settings.data_dir, &options, ambient.clone())?);
        let broker = Arc::new(SqliteBroker::open(&settings.data_dir, &options, ambient.clone())?);
        let metrics = Metrics::new();
        let master = match &settings.master_key {
            Some(key) => MasterKey::new(*key.expose_secret()),
            None => {
                let key = coder_embedded::master_key_file(&settings.data_dir, &ambient).map_err(|cause| {
                    StartError::MasterKey { path: settings.data_dir.display().to_string(), cause }
                })?;
                MasterKey::new(key)
            }
        };
        Ok(Self {
            limiter: Arc::new(MemoryLimiter::new(ambient.clone())),
            revocations: Arc::new(Revocations::new(ambient.clone())),
            publisher: Arc::new(Counted { next: broker.clone(), metrics: metrics.clone() }),
            metrics,
            store: embedded.clone(),
            settings: Arc::new(settings),
            embedded,
            broker,
            master,
            ambient,
        })
    }
}
