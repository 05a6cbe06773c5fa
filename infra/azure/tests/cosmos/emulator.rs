//! The in-memory emulator of the SDK's own crates behind a store. It is no public interface and may change with
//! every release: nothing else in the tests touches it.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::Url;
use azure_data_cosmos::clients::{CosmosClient, CosmosClientBuilder};
use azure_data_cosmos::options::Region;
use azure_data_cosmos::{AccountReference, CosmosError, CosmosRuntimeBuilder, RoutingStrategy};
use azure_data_cosmos_driver::fault_injection::FaultInjectionRule;
use azure_data_cosmos_driver::in_memory_emulator::{
    InMemoryEmulatorHttpClient, VirtualAccountConfig, VirtualRegion,
};
use azure_data_cosmos_driver::models::PartitionKeyDefinition;
use coder_azure::cosmos::{Connect, CosmosStore, DATABASE, Limits};
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::contract::{self, Subject};
use coder_database::{Container, DocumentStore as _};

/// The address of the account's only region. Never resolved: requests are answered in the process.
const ADDRESS: &str = "https://eastus.emulator.local";

/// An account in memory.
#[derive(Debug, Clone)]
pub(crate) struct Emulator(Arc<InMemoryEmulatorHttpClient>);

impl Emulator {
    /// An account with these containers.
    pub(crate) fn with(containers: &[Container]) -> Self {
        let region = VirtualRegion::new("East US", Url::parse(ADDRESS).unwrap());
        let config = VirtualAccountConfig::new(vec![region]).unwrap();
        let emulator = InMemoryEmulatorHttpClient::new(config);
        emulator.store().create_database(DATABASE);
        for container in containers {
            let paths = container.partition_key.iter().map(|path| Cow::Borrowed(*path)).collect();
            let key = PartitionKeyDefinition::new(paths);
            emulator.store().create_container(DATABASE, container.name, key);
        }
        Self(Arc::new(emulator))
    }

    /// A store on the account, with the containers prepared, that meets these faults on its way.
    pub(crate) async fn store(
        &self,
        containers: &[Container],
        limits: Limits,
        faults: Vec<Arc<FaultInjectionRule>>,
        ambient: Ambient,
    ) -> CosmosStore {
        let connect = Emulated { emulator: self.0.clone(), faults };
        let store = CosmosStore::new(connect, limits, None, ambient);
        store.prepare(containers).await.unwrap();
        store
    }
}

#[derive(Debug)]
struct Emulated {
    emulator: Arc<InMemoryEmulatorHttpClient>,
    faults: Vec<Arc<FaultInjectionRule>>,
}

#[async_trait]
impl Connect for Emulated {
    async fn connect(&self, builder: CosmosClientBuilder) -> Result<CosmosClient, CosmosError> {
        let runtime = if self.faults.is_empty() {
            self.emulator.runtime_builder()
        } else {
            self.emulator.runtime_builder_with_fault_rules(self.faults.clone())
        };
        let runtime = CosmosRuntimeBuilder::from(runtime).build().await?;
        // Any key is good enough.
        let account = AccountReference::with_authentication_key(ADDRESS.parse()?, "a2V5");
        builder.with_runtime(runtime).build(account, RoutingStrategy::ProximityTo(Region::EAST_US)).await
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
