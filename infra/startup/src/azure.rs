//! The providers of the cloud, all reached as one managed identity.
//!
//! Entry point: [`providers`], the wiring over any services, which may be doubles; [`crate::Providers::open`] gives it
//! those that the settings name.

use std::sync::Arc;

use async_trait::async_trait;
use coder_azure::cosmos::{Account, Charge, Connect, CosmosStore, Limits, OnCharge};
use coder_azure::credential::{Application, managed_identity};
use coder_azure::key_vault::{AzureKeyVault, Vault, master_key};
use coder_azure::redis::{Redis, RedisCache, RedisLimiter, RedisOptions, RedisRelay};
use coder_azure::service_bus::ServiceBus;
use coder_cache::Revocations;
use coder_config::{AzureSettings, Settings};
use coder_core::{Ambient, Failure};
use coder_database::DocumentStore;
use coder_handler::health::Asking;
use coder_handler::{Admission, Health};
use coder_telemetry::Metrics;
use coder_vault::MasterKey;
use secrecy::ExposeSecret as _;

use crate::outbox::Counted;
use crate::providers::{Providers, StartError};
use crate::relay::Relay;

/// The key that wraps the data keys of tenants.
const WRAPPING_KEY: &str = "coder-secrets";
/// The secret that the deployment gives every app as `CODER_MASTER_KEY`.
const MASTER_KEY: &str = "coder-master-key";
/// The port of Azure Managed Redis.
const REDIS_PORT: u16 = 10_000;

/// The services, each as the platform calls it.
#[derive(Debug)]
pub struct Services<C> {
    /// Reaches the Cosmos DB account.
    pub cosmos: C,
    /// The Service Bus namespace.
    pub bus: ServiceBus,
    /// The Key Vault.
    pub vault: Vault,
    /// The Managed Redis.
    pub redis: Redis,
    /// Token buckets in that Redis.
    pub limiter: RedisLimiter,
}

/// Makes the clients of the services that the settings name. Each connects when it is first used.
pub(crate) fn open(
    azure: &AzureSettings,
    settings: Settings,
    ambient: Ambient,
) -> Result<Providers, StartError> {
    let wrong = |error: &dyn std::fmt::Display| StartError::Other(error.to_string());
    let credential = managed_identity(&azure.client_id).map_err(|error| wrong(&error))?;
    let bus = ServiceBus::new(&azure.servicebus_namespace, credential.clone(), ambient.clone())
        .map_err(|error| wrong(&error))?;
    let vault = Vault::new(azure.keyvault_url.as_str(), credential.clone(), ambient.clone())
        .map_err(|error| wrong(&error))?;
    let options = RedisOptions::new(format!("rediss://{}:{REDIS_PORT}", azure.redis_host));
    let redis =
        Redis::new(options, Some(credential.clone()), ambient.clone()).map_err(|error| wrong(&error))?;
    let cosmos = Account { endpoint: azure.cosmos_endpoint.clone(), credential: credential.clone() };
    let limiter = RedisLimiter::new(redis.clone());
    let door = |address: &String| Arc::new(Door(Application::new(credential, address))) as Arc<dyn Admission>;
    let admission = azure.platform_audience.as_ref().map(door);
    let providers = providers(Services { cosmos, bus, vault, redis, limiter }, settings, ambient)?;
    Ok(Providers { admission, ..providers })
}

/// The sign-in of the platform that stands before every app, and lets in whom the deployment names.
#[derive(Debug)]
struct Door(Application);

#[async_trait]
impl Admission for Door {
    async fn token(&self) -> Result<String, Failure> {
        self.0.token().await.map_err(Failure::internal)
    }
}

/// The providers over these services. Nothing goes over a network here.
pub fn providers<C: Connect + 'static>(
    services: Services<C>,
    settings: Settings,
    ambient: Ambient,
) -> Result<Providers, StartError> {
    let Services { cosmos, bus, vault, redis, limiter } = services;
    let master = settings.master_key.as_ref().ok_or(StartError::NoMasterKey)?;
    let master = MasterKey::new(*master.expose_secret());
    let metrics = Metrics::new();
    let on_charge = Some(counted(metrics.clone()));
    let store: Arc<dyn DocumentStore> =
        Arc::new(CosmosStore::new(cosmos, Limits::default(), on_charge, ambient.clone()));
    let (revocations, outlet) = Revocations::with_outlet(ambient.clone());
    Ok(Providers {
        health: Arc::new(health(&ambient, &store, &bus, &redis).likes("vault", of_vault(&vault, &master))),
        store,
        publisher: Arc::new(Counted { next: Arc::new(bus), metrics: metrics.clone() }),
        limiter: Arc::new(limiter),
        cache: Some(Arc::new(RedisCache::new(redis.clone()))),
        revocations: Arc::new(revocations),
        relay: Arc::new(Relay::over(Arc::new(RedisRelay::new(redis)), outlet)),
        metrics,
        admission: None,
        vault: Arc::new(AzureKeyVault::new(vault, WRAPPING_KEY)),
        master,
        settings: Arc::new(settings),
        local: None,
        ambient,
    })
}

fn counted(metrics: Metrics) -> OnCharge {
    Arc::new(move |charge: Charge| {
        metrics.store_operation(charge.request_units);
        if charge.is_failure() {
            metrics.store_failure(charge.status, charge.sub_status);
        }
    })
}

/// Whether the vault answers, and still has the master key that this process was started with. Nothing is asked of it
/// for that again, so that a process with an old key goes on; but others do not understand it.
fn of_vault(vault: &Vault, master: &MasterKey) -> impl Fn() -> Asking + Send + Sync + 'static {
    let (vault, own) = (vault.clone(), master.derive("comparison"));
    move || {
        let (vault, own) = (vault.clone(), own.clone());
        Box::pin(async move {
            let kept = master_key(&vault, MASTER_KEY).await.map_err(|fault| fault.to_string())?;
            let same = kept.derive("comparison") == own;
            same.then_some(()).ok_or_else(|| {
                format!("the secret `{MASTER_KEY}` is not the `CODER_MASTER_KEY` of this process: restart it")
            })
        })
    }
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
