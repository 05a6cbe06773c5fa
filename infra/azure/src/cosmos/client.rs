//! The SDK's client: made at first use, kept for ever, with limits on how long it may try.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::Url;
use azure_data_cosmos::clients::{ContainerClient, CosmosClient, CosmosClientBuilder};
use azure_data_cosmos::options::{
    EndToEndOperationLatencyPolicy, OperationOptions, OperationOptionsBuilder, ThrottlingRetryOptionsBuilder,
};
use azure_data_cosmos::{AccountReference, CosmosError, RoutingStrategy};
use coder_database::StoreError;
use tokio::sync::OnceCell;

use super::charge::{Charges, OnCharge};
use super::error;

/// The database that holds every container of the platform.
pub const DATABASE: &str = "coder";

/// How long an operation may take. The SDK's own defaults are minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the first request to the last answer, tries included.
    pub deadline: Duration,
    /// Tries after the service said that it is busy.
    pub throttle_retries: u32,
    /// Time spent waiting because the service said that it is busy.
    pub throttle_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(8), throttle_retries: 5, throttle_wait: Duration::from_secs(3) }
    }
}

impl Limits {
    fn options(self) -> OperationOptions {
        let throttling = ThrottlingRetryOptionsBuilder::new()
            .with_max_retry_count(self.throttle_retries)
            .with_max_retry_wait_time(self.throttle_wait)
            .build();
        OperationOptionsBuilder::new()
            .with_throttling_retry_options(throttling)
            .with_end_to_end_latency_policy(EndToEndOperationLatencyPolicy::new(self.deadline))
            .build()
    }
}

/// Makes the client. The builder has the limits and the diagnostics already.
#[async_trait]
pub trait Connect: Send + Sync + fmt::Debug {
    /// Contacts the account.
    async fn connect(&self, builder: CosmosClientBuilder) -> Result<CosmosClient, CosmosError>;
}

/// An account in the cloud, reached without keys.
///
/// The SDK asks the machine's metadata address once per process, which costs seconds where there is none; the app
/// setting `COSMOS_DISABLE_IMDS=1` prevents it, and only a variable can.
#[derive(Debug)]
pub struct Account {
    /// Its address.
    pub endpoint: Url,
    /// As whom it is called. Asked for every request: it must keep its tokens.
    pub credential: Arc<dyn TokenCredential>,
}

#[async_trait]
impl Connect for Account {
    async fn connect(&self, builder: CosmosClientBuilder) -> Result<CosmosClient, CosmosError> {
        let account =
            AccountReference::with_credential(self.endpoint.clone().into(), self.credential.clone());
        // No preference: the account's own order of regions.
        builder.build(account, RoutingStrategy::PreferredRegions(Vec::new())).await
    }
}

/// The client and its containers.
pub(super) struct Clients {
    connect: Box<dyn Connect>,
    limits: Limits,
    on_charge: Option<OnCharge>,
    client: OnceCell<CosmosClient>,
    containers: Mutex<HashMap<&'static str, Arc<OnceCell<ContainerClient>>>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Clients").field("connect", &self.connect).finish_non_exhaustive()
    }
}

impl Clients {
    pub(super) fn new(connect: Box<dyn Connect>, limits: Limits, on_charge: Option<OnCharge>) -> Self {
        Self { connect, limits, on_charge, client: OnceCell::new(), containers: Mutex::default() }
    }

    /// The client of a container: network at the first call, and again until one has worked.
    pub(super) async fn container(&self, name: &'static str) -> Result<ContainerClient, StoreError> {
        let cell = {
            let mut containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(containers.entry(name).or_default())
        };
        let container = cell.get_or_try_init(|| async {
            let client = self.client().await?;
            client.database_client(DATABASE).container_client(name, None).await
        });
        // The deadline of an operation does not count for what comes before the first one.
        match tokio::time::timeout(self.limits.deadline, container).await {
            Ok(container) => container.cloned().map_err(|cause| error::of_connection(name, &cause)),
            Err(_) => Err(StoreError::Unavailable { what: "Cosmos DB cannot be reached".to_owned() }),
        }
    }

    async fn client(&self) -> Result<&CosmosClient, CosmosError> {
        let connect = || {
            let builder = CosmosClientBuilder::new()
                .with_default_operation_options(self.limits.options())
                .with_diagnostics_handler(Arc::new(Charges(self.on_charge.clone())));
            self.connect.connect(builder)
        };
        self.client.get_or_try_init(connect).await
    }
}
