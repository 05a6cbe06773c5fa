//! The providers of the cloud, all reached as one managed identity.

use std::sync::Arc;

use coder_azure::cosmos::{Account, Charge, CosmosStore, Limits, OnCharge};
use coder_azure::credential::managed_identity;
use coder_azure::key_vault::{AzureKeyVault, Vault};
use coder_azure::redis::{Redis, RedisLimiter, RedisOptions, RedisRelay};
use coder_azure::service_bus::ServiceBus;
use coder_cache::Revocations;
use coder_config::{AzureSettings, Settings};
use coder_core::Ambient;
use coder_database::DocumentStore;
use coder_handler::Health;
use coder_telemetry::Metrics;
use coder_vault::MasterKey;
use secrecy::ExposeSecret as _;

use crate::outbox::Counted;
use crate::providers::{Providers, StartError};
use crate::relay::Relay;

/// The key that wraps the data keys of tenants.
const WRAPPING_KEY: &str = "coder-secrets";
/// The port of Azure Managed Redis.
const REDIS_PORT: u16 = 10_000;

/// Makes the clients. Each connects when it is first used.
pub(crate) fn open(
    azure: &AzureSettings,
    settings: Settings,
    ambient: Ambient,
) -> Result<Providers, StartError> {
    let wrong = |error: &dyn std::fmt::Display| StartError::Other(error.to_string());
    let master = settings.master_key.as_ref().ok_or(StartError::NoMasterKey)?;
    let master = MasterKey::new(*master.expose_secret());
    let credential = managed_identity(&azure.client_id).map_err(|error| wrong(&error))?;
    let account = Account { endpoint: azure.cosmos_endpoint.clone(), credential: credential.clone() };
    let metrics = Metrics::new();
    let on_charge = Some(counted(metrics.clone()));
    let store: Arc<dyn DocumentStore> =
        Arc::new(CosmosStore::new(account, Limits::default(), on_charge, ambient.clone()));
    let bus = ServiceBus::new(&azure.servicebus_namespace, credential.clone(), ambient.clone())
        .map_err(|error| wrong(&error))?;
    let options = RedisOptions::new(format!("rediss://{}:{REDIS_PORT}", azure.redis_host));
    let redis =
        Redis::new(options, Some(credential.clone()), ambient.clone()).map_err(|error| wrong(&error))?;
    let vault = Vault::new(azure.keyvault_url.as_str(), credential, ambient.clone())
        .map_err(|error| wrong(&error))?;
    let (revocations, outlet) = Revocations::with_outlet(ambient.clone());
    Ok(Providers {
        health: Arc::new(health(&ambient, &store, &bus, &redis)),
        store,
        publisher: Arc::new(Counted { next: Arc::new(bus), metrics: metrics.clone() }),
        limiter: Arc::new(RedisLimiter::new(redis.clone())),
        revocations: Arc::new(revocations),
        relay: Arc::new(Relay::over(Arc::new(RedisRelay::new(redis)), outlet)),
        metrics,
        vault: Arc::new(AzureKeyVault::new(vault, WRAPPING_KEY)),
        master,
        settings: Arc::new(settings),
        local: None,
        ambient,
    })
}

fn counted(metrics: Metrics) -> OnCharge {
    Arc::new(move |charge: Charge| metrics.store_operation(charge.request_units, charge.status == 429))
}

fn health(ambient: &Ambient, store: &Arc<dyn DocumentStore>, bus: &ServiceBus, redis: &Redis) -> Health {
    let (bus, redis) = (bus.clone(), redis.clone());
    Health::new(ambient.clone())
        .of_store(store.clone())
        .needs("messages", move || {
            let bus = bus.clone();
            Box::pin(async move { bus.ready().await.map_err(|error| error.to_string()) })
        })
        // Without it limits are looser and revocations later; requests are answered all the same.
        .likes("cache", move || {
            let redis = redis.clone();
            Box::pin(
                async move { if redis.is_reachable().await { Ok(()) } else { Err("no answer".to_owned()) } },
            )
        })
}
