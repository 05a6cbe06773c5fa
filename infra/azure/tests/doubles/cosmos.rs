//! The in-memory emulator of the SDK's own crates behind a store. It is no public interface and may change with
//! every release: nothing else in the tests touches it.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::Url;
use azure_data_cosmos::clients::{CosmosClient, CosmosClientBuilder};
use azure_data_cosmos::options::Region;
use azure_data_cosmos::{AccountReference, CosmosError, CosmosRuntimeBuilder, RoutingStrategy};
use azure_data_cosmos_driver::error::{BacktraceOptions, set_backtrace_options};
use azure_data_cosmos_driver::fault_injection::FaultInjectionRule;
use azure_data_cosmos_driver::in_memory_emulator::{
    InMemoryEmulatorHttpClient, VirtualAccountConfig, VirtualRegion,
};
use azure_data_cosmos_driver::models::PartitionKeyDefinition;
use coder_azure::cosmos::{Connect, CosmosStore, DATABASE, Limits};
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::contract::{self, Subject};
use coder_database::{Container, DocumentStore as _};

/// The address of the account, and of the region that is written to. Never resolved: requests are answered in the
/// process.
const ADDRESS: &str = "https://eastus.emulator.local";

/// A further region, as the emulator and the SDK name it.
const AFAR: (&str, &str, Region) = ("West US", "https://westus.emulator.local", Region::WEST_US);

/// An account in memory.
#[derive(Debug, Clone)]
pub(crate) struct Emulator {
    account: Arc<InMemoryEmulatorHttpClient>,
    /// Where reads go.
    near: Region,
}

impl Emulator {
    /// An account with these containers.
    pub(crate) fn with(containers: &[Container]) -> Self {
        Self::of(
            vec![VirtualRegion::new("East US", Url::parse(ADDRESS).unwrap())],
            Region::EAST_US,
            containers,
        )
    }

    /// An account that is written to in one region and read in another, which does not follow until it is told to.
    pub(crate) fn lagging(containers: &[Container]) -> Self {
        let (name, address, region) = AFAR;
        let places = [("East US", ADDRESS), (name, address)];
        let regions = places.map(|(name, url)| VirtualRegion::new(name, Url::parse(url).unwrap()));
        let emulator = Self::of(regions.into(), region, containers);
        emulator.account.store().pause_replication(name);
        emulator
    }

    /// Lets the region that lags catch up.
    pub(crate) async fn follow(&self) {
        self.account.store().resume_replication(AFAR.0);
        self.account.store().drain_pending_replications().await;
    }

    fn of(regions: Vec<VirtualRegion>, near: Region, containers: &[Container]) -> Self {
        // A document that is not there is an answer; with its backtrace it costs more than all the rest.
        let mut backtraces = BacktraceOptions::default();
        (backtraces.max_captures_per_second, backtraces.max_resolutions_per_second) = (0, 0);
        set_backtrace_options(backtraces);
        let emulator = InMemoryEmulatorHttpClient::new(VirtualAccountConfig::new(regions).unwrap());
        emulator.store().create_database(DATABASE);
        for container in containers {
            let paths = container.partition_key.iter().map(|path| Cow::Borrowed(*path)).collect();
            let key = PartitionKeyDefinition::new(paths);
            emulator.store().create_container(DATABASE, container.name, key);
        }
        Self { account: Arc::new(emulator), near }
    }

    /// A store on the account, with the containers prepared, that meets these faults on its way.
    pub(crate) async fn store(
        &self,
        containers: &[Container],
        limits: Limits,
        faults: Vec<Arc<FaultInjectionRule>>,
        ambient: Ambient,
    ) -> CosmosStore {
        let store = CosmosStore::new(self.reached_as(None).meeting(faults), limits, None, ambient);
        store.prepare(containers).await.unwrap();
        store
    }

    /// The way to the account, as this identity, or with a key.
    pub(crate) fn reached_as(&self, credential: Option<Arc<dyn TokenCredential>>) -> Emulated {
        Emulated { emulator: self.clone(), credential, faults: Vec::new() }
    }
}

/// Connects to an account in memory.
#[derive(Debug)]
pub(crate) struct Emulated {
    emulator: Emulator,
    credential: Option<Arc<dyn TokenCredential>>,
    faults: Vec<Arc<FaultInjectionRule>>,
}

impl Emulated {
    /// The same way, on which there are these faults.
    pub(crate) fn meeting(self, faults: Vec<Arc<FaultInjectionRule>>) -> Self {
        Self { faults, ..self }
    }
}

#[async_trait]
impl Connect for Emulated {
    async fn connect(&self, builder: CosmosClientBuilder) -> Result<CosmosClient, CosmosError> {
        let runtime = if self.faults.is_empty() {
            self.emulator.account.runtime_builder()
        } else {
            self.emulator.account.runtime_builder_with_fault_rules(self.faults.clone())
        };
        let runtime = CosmosRuntimeBuilder::from(runtime).build().await?;
        let endpoint = ADDRESS.parse()?;
        let account = match &self.credential {
            Some(credential) => AccountReference::with_credential(endpoint, credential.clone()),
            // Any key is good enough.
            None => AccountReference::with_authentication_key(endpoint, "a2V5"),
        };
        builder
            .with_runtime(runtime)
            .build(account, RoutingStrategy::ProximityTo(self.emulator.near.clone()))
            .await
    }
}

/// A fresh account for a case of the suite.
pub(crate) async fn subject() -> Subject {
    let containers = contract::containers();
    let clock = ManualClock::at(contract::start());
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let emulator = Emulator::with(&containers);
    let store = emulator.store(&containers, Limits::default(), Vec::new(), ambient).await;
    Subject { store: Arc::new(store), clock, keep: Box::new(emulator) }
}
