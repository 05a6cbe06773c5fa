//! The trait of a document store, on Cosmos DB.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use azure_data_cosmos::PartitionKey as Partition;
use azure_data_cosmos::feed::FeedScope;
use azure_data_cosmos::models::PartitionKeyValue;
use coder_core::Ambient;
use coder_database::rules::{
    check_field, check_filter, check_key_prefix, check_whole_key, check_write, key_fields,
};
use coder_database::{
    Container, Document, DocumentStore, Filter, Operation, Page, PartitionKey, Query, StoreError, Written,
};

use super::charge::OnCharge;
use super::client::{Clients, Connect, Limits};
use super::envelope::{Stored, is_live};
use super::error;
use super::plan::check_vectors;
use super::search::{NearestRead, PageRead};
use super::write::{Writer, read};

/// Documents in a Cosmos DB account. Nothing goes over the network before the first operation.
#[derive(Debug)]
pub struct CosmosStore {
    clients: Clients,
    containers: RwLock<HashMap<&'static str, Arc<Container>>>,
    ambient: Ambient,
}

impl CosmosStore {
    /// A store on the account that `connect` reaches; `on_charge` is told what every operation cost.
    pub fn new(
        connect: impl Connect + 'static,
        limits: Limits,
        on_charge: Option<OnCharge>,
        ambient: Ambient,
    ) -> Self {
        let clients = Clients::new(Box::new(connect), limits, on_charge);
        Self { clients, containers: RwLock::default(), ambient }
    }

    fn container(&self, name: &str) -> Result<Arc<Container>, StoreError> {
        let containers = self.containers.read().unwrap_or_else(PoisonError::into_inner);
        containers.get(name).cloned().ok_or_else(|| invalid(format!("there is no container `{name}`")))
    }
}

fn invalid(what: String) -> StoreError {
    StoreError::Invalid { what }
}

/// The key for the SDK, whole or a prefix.
fn partition(key: &PartitionKey) -> Result<Partition, StoreError> {
    let values: Vec<PartitionKeyValue> = key.0.iter().map(PartitionKeyValue::from).collect();
    Partition::try_from(values).map_err(|cause| error::of_request(&cause))
}

#[async_trait]
impl DocumentStore for CosmosStore {
    /// Takes note of the declarations; the containers are made by the deployment.
    async fn prepare(&self, containers: &[Container]) -> Result<(), StoreError> {
        for container in containers {
            if !(1..=3).contains(&container.partition_key.len()) {
                return Err(invalid(format!(
                    "the partition key of `{}` needs one to three levels",
                    container.name
                )));
            }
            key_fields(container).try_for_each(|field| check_field(&field))?;
            container.vectors.iter().try_for_each(|vector| check_field(vector.field))?;
            let mut known = self.containers.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(container.name, Arc::new(container.clone()));
        }
        Ok(())
    }

    async fn read(
        &self,
        container: &str,
        key: &PartitionKey,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        let container = self.container(container)?;
        check_whole_key(&container, key)?;
        // The address of such a document cannot be written, so there is none.
        if coder_database::rules::check_id(id).is_err() {
            return Ok(None);
        }
        let client = self.clients.container(container.name).await?;
        let found = read(&client, partition(key)?, id).await?;
        let now = self.ambient.now();
        Ok(found.filter(|stored| is_live(stored.end, now)).map(Stored::into_document))
    }

    async fn write(
        &self,
        container: &str,
        key: &PartitionKey,
        operations: Vec<Operation>,
    ) -> Result<Vec<Written>, StoreError> {
        let container = self.container(container)?;
        check_write(&container, key, &operations)?;
        for operation in &operations {
            if let Operation::Create { body, .. }
            | Operation::Replace { body, .. }
            | Operation::Upsert { body, .. } = operation
            {
                check_vectors(&container, body)?;
            }
        }
        let client = self.clients.container(container.name).await?;
        let partition = partition(key)?;
        let writer = Writer { client, container: &container, key, partition, ambient: &self.ambient };
        writer.run(&operations).await
    }

    async fn query(&self, container: &str, key: &PartitionKey, query: &Query) -> Result<Page, StoreError> {
        let container = self.container(container)?;
        check_key_prefix(&container, key)?;
        let page = PageRead::new(&container, Some(key), query, self.ambient.now())?;
        let client = self.clients.container(container.name).await?;
        page.run(&client, FeedScope::partition(partition(key)?)).await
    }

    async fn query_across(&self, container: &str, query: &Query) -> Result<Page, StoreError> {
        let container = self.container(container)?;
        let page = PageRead::new(&container, None, query, self.ambient.now())?;
        let client = self.clients.container(container.name).await?;
        page.run(&client, FeedScope::full_container()).await
    }

    async fn nearest(
        &self,
        container: &str,
        key: &PartitionKey,
        field: &str,
        vector: &[f32],
        top: u32,
        filter: Option<&Filter>,
    ) -> Result<Vec<(Document, f32)>, StoreError> {
        let container = self.container(container)?;
        check_key_prefix(&container, key)?;
        filter.map_or(Ok(()), check_filter)?;
        let search = NearestRead::new(&container, field, vector, top, filter, self.ambient.now())?;
        let client = self.clients.container(container.name).await?;
        search.run(&client, FeedScope::partition(partition(key)?)).await
    }

    /// Reads a document that is not there, of some container; one request unit.
    async fn ping(&self) -> Result<(), StoreError> {
        let container = {
            let containers = self.containers.read().unwrap_or_else(PoisonError::into_inner);
            containers.values().next().cloned()
        };
        let Some(container) = container else { return Ok(()) };
        let client = self.clients.container(container.name).await?;
        let nowhere = PartitionKey(vec!["ping".to_owned(); container.partition_key.len()]);
        read(&client, partition(&nowhere)?, "ping").await.map(drop)
    }
}
