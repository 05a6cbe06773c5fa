//! The providers of one machine, in its data directory.

use std::sync::Arc;

use coder_cache::{MemoryLimiter, Revocations};
use coder_config::{Settings, StoreSync};
use coder_core::Ambient;
use coder_database::DocumentStore;
use coder_embedded::{Options, SqliteBroker, SqliteStore, Synchronous};
use coder_handler::Health;
use coder_telemetry::Metrics;
use coder_vault::{KeyVault, LocalKeyVault, MasterKey, NoKeyVault};
use secrecy::ExposeSecret as _;

use crate::outbox::Counted;
use crate::providers::{Local, Providers, StartError};
use crate::relay::Relay;

/// Opens store and broker, and makes the master key if there is none.
pub(crate) fn open(settings: Settings, ambient: Ambient) -> Result<Providers, StartError> {
    let synchronous = match settings.store_sync {
        StoreSync::Normal => Synchronous::Normal,
        StoreSync::Full => Synchronous::Full,
    };
    let options = Options { synchronous, ..Options::default() };
    let store = Arc::new(SqliteStore::open(&settings.data_dir, &options, ambient.clone())?);
    let broker = Arc::new(SqliteBroker::open(&settings.data_dir, &options, ambient.clone())?);
    let metrics = Metrics::new();
    let documents: Arc<dyn DocumentStore> = store.clone();
    let master = master_key(&settings, &ambient)?;
    Ok(Providers {
        admission: None,
        limiter: Arc::new(MemoryLimiter::new(ambient.clone())),
        revocations: Arc::new(Revocations::new(ambient.clone())),
        cache: None,
        relay: Arc::new(Relay::none()),
        publisher: Arc::new(Counted { next: broker.clone(), metrics: metrics.clone() }),
        metrics,
        health: Arc::new(Health::new(ambient.clone()).of_store(documents.clone())),
        store: documents,
        vault: vault(&settings, &master, &ambient),
        master,
        settings: Arc::new(settings),
        local: Some(Local { store: Some(store), broker }),
        ambient,
    })
}

/// In production a missing master key is a fault of the set-up that no key made up on the spot may hide.
fn vault(settings: &Settings, master: &MasterKey, ambient: &Ambient) -> Arc<dyn KeyVault> {
    if settings.is_production() && settings.master_key.is_none() {
        Arc::new(NoKeyVault)
    } else {
        Arc::new(LocalKeyVault::new(master, ambient.clone()))
    }
}

fn master_key(settings: &Settings, ambient: &Ambient) -> Result<MasterKey, StartError> {
    let key = match &settings.master_key {
        Some(key) => *key.expose_secret(),
        None => coder_embedded::master_key_file(&settings.data_dir, ambient).map_err(|cause| {
            StartError::MasterKey { path: settings.data_dir.display().to_string(), cause }
        })?,
    };
    Ok(MasterKey::new(key))
}
