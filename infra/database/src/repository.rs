//! Typed access to the documents of one partition. There is no method without a partition, and a partition is
//! made from a tenant, a person or a key; only a [`PlatformJob`] reads across.

use std::marker::PhantomData;
use std::sync::Arc;

use coder_core::{Failure, OrganizationId, Problem, UserId};

use crate::entity::{Entity, Record};
use crate::filter::Filter;
use crate::query::Query;
use crate::store::{DocumentStore, PartitionKey};

/// One partition of one container, with the tenant that its documents belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Partition {
    key: String,
    bucket: Option<String>,
    organization_id: Option<OrganizationId>,
}

impl Partition {
    /// An organization's partition.
    pub fn organization(id: OrganizationId) -> Self {
        Self { key: format!("org:{id}"), bucket: None, organization_id: Some(id) }
    }

    /// A person's partition.
    pub fn user(id: UserId) -> Self {
        Self { key: format!("user:{id}"), bucket: None, organization_id: None }
    }

    /// A partition of one looked-up thing, such as `token` and its id.
    pub fn keyed(kind: &str, id: impl std::fmt::Display) -> Self {
        Self { key: format!("{kind}:{id}"), bucket: None, organization_id: None }
    }

    /// The platform's own partition.
    pub fn platform() -> Self {
        Self { key: "platform".into(), bucket: None, organization_id: None }
    }

    /// One bucket of the partition, in a container whose second level is `/bucket`: a month, a person, the
    /// configuration. Without one, a query reads every bucket, and a write is refused by the store.
    pub fn bucket(mut self, bucket: impl Into<String>) -> Self {
        self.bucket = Some(bucket.into());
        self
    }

    /// The name of the bucket, if the partition is one.
    pub fn bucket_name(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The partition that a document across the container came from; for platform jobs.
    pub fn of_document(_: &PlatformJob, body: &serde_json::Value) -> Option<Self> {
        let key = body.get("partitionKey")?.as_str()?.to_owned();
        let bucket = body.get("bucket").and_then(serde_json::Value::as_str).map(str::to_owned);
        let organization_id = key.strip_prefix("org:").and_then(|id| id.parse().ok());
        Some(Self { key, bucket, organization_id })
    }

    /// The partition that a message of the platform names: the values of its key.
    pub fn of_message(_: &PlatformJob, key: &serde_json::Value) -> Option<Self> {
        let mut levels = key.as_array()?.iter().map(|level| level.as_str().map(str::to_owned));
        let key = levels.next()??;
        let bucket = levels.next().flatten();
        let organization_id = key.strip_prefix("org:").and_then(|id| id.parse().ok());
        Some(Self { key, bucket, organization_id })
    }

    /// The tenant, if the partition is one's.
    pub fn organization_id(&self) -> Option<OrganizationId> {
        self.organization_id
    }

    /// The key as the store knows it.
    pub fn key(&self) -> PartitionKey {
        PartitionKey(std::iter::once(&self.key).chain(&self.bucket).cloned().collect())
    }

    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let key = ("partitionKey".to_owned(), self.key.clone());
        let bucket = self.bucket.iter().map(|bucket| ("bucket".to_owned(), bucket.clone()));
        std::iter::once(key).chain(bucket).collect()
    }
}

/// Evidence that code runs as a job of the platform, not for a caller. Made by the job runtime only.
#[derive(Debug)]
pub struct PlatformJob(());

impl PlatformJob {
    /// For the job runtime: nothing that handles a caller's request may call this.
    pub fn begin() -> Self {
        Self(())
    }
}

/// The documents of one type in one container.
#[derive(Debug)]
pub struct Repository<T> {
    store: Arc<dyn DocumentStore>,
    container: &'static str,
    entity: PhantomData<fn() -> T>,
}

impl<T> Clone for Repository<T> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), container: self.container, entity: PhantomData }
    }
}

impl<T: Entity> Repository<T> {
    /// The repository of `T` in a container.
    pub fn new(store: Arc<dyn DocumentStore>, container: &'static str) -> Self {
        Self { store, container, entity: PhantomData }
    }

    /// The document, if it is there and of this type.
    pub async fn find(&self, partition: &Partition, id: &str) -> Result<Option<Record<T>>, Failure> {
        match self.store.read(self.container, &partition.key(), id).await? {
            Some(document) if document.body["type"] == T::TYPE => Record::from_document(document).map(Some),
            _ => Ok(None),
        }
    }

    /// The document, or `404 not_found`.
    pub async fn get(&self, partition: &Partition, id: &str) -> Result<Record<T>, Failure> {
        self.find(partition, id).await?.ok_or_else(|| Problem::not_found(&T::TYPE.replace('-', " ")).into())
    }

    /// A page of the documents of this type that pass the query; the second value is where the next page starts.
    pub async fn page(
        &self,
        partition: &Partition,
        query: &Query,
    ) -> Result<(Vec<Record<T>>, Option<String>), Failure> {
        let (items, next) = self.page_each(partition, query).await?;
        Ok((items.into_iter().collect::<Result<_, _>>()?, next))
    }

    /// The same for what must go on: a document that cannot be read is a failure of its own.
    pub async fn page_each(
        &self,
        partition: &Partition,
        query: &Query,
    ) -> Result<(Vec<Result<Record<T>, Failure>>, Option<String>), Failure> {
        let page = self.store.query(self.container, &partition.key(), &of_type::<T>(query)).await?;
        Ok((page.items.into_iter().map(Record::from_document).collect(), page.next))
    }

    /// All documents of this type that pass the filter, at most `most`: for what a limit keeps small. More are
    /// a fault, not a silent cut.
    pub async fn all(
        &self,
        partition: &Partition,
        filter: impl Into<Option<Filter>>,
        most: usize,
    ) -> Result<Vec<Record<T>>, Failure> {
        let mut query = Query::new(filter).limit(1000);
        let mut found = Vec::new();
        loop {
            let (items, next) = self.page(partition, &query).await?;
            found.extend(items);
            if found.len() > most {
                return Err(Failure::internal(format!("more than {most} {} in {}", T::TYPE, partition.key)));
            }
            match next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// How many documents of this type pass the filter: for what a limit keeps small.
    pub async fn count(
        &self,
        partition: &Partition,
        filter: impl Into<Option<Filter>>,
    ) -> Result<usize, Failure> {
        let query = of_type::<T>(&Query::new(filter));
        Ok(self.store.count(self.container, &partition.key(), query.filter.as_ref()).await?)
    }

    /// A page over all partitions, with the partition of each document.
    pub async fn page_across(
        &self,
        job: &PlatformJob,
        query: &Query,
    ) -> Result<(Vec<(Partition, Record<T>)>, Option<String>), Failure> {
        let (items, next) = self.page_across_each(job, query).await?;
        Ok((items.into_iter().collect::<Result<_, _>>()?, next))
    }

    /// The same for what must go on: a document that cannot be read is a failure of its own.
    pub async fn page_across_each(
        &self,
        job: &PlatformJob,
        query: &Query,
    ) -> Result<(Vec<Result<(Partition, Record<T>), Failure>>, Option<String>), Failure> {
        let page = self.store.query_across(self.container, &of_type::<T>(query)).await?;
        let item = |document: crate::document::Document| {
            let partition = Partition::of_document(job, &document.body)
                .ok_or_else(|| Failure::internal(format!("`{}` has no partition key", document.id)))?;
            Ok((partition, Record::from_document(document)?))
        };
        Ok((page.items.into_iter().map(item).collect(), page.next))
    }
}

fn of_type<T: Entity>(query: &Query) -> Query {
    let filter = Filter::of_type(T::TYPE);
    let filter = match query.filter.clone() {
        Some(more) => filter.and(more),
        None => filter,
    };
    Query { filter: Some(filter), ..query.clone() }
}
