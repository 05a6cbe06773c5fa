//! The declaration of a container: what Cosmos DB and the embedded store are made from.

use crate::repository::Partition;

/// A container of documents.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name; also the name of the Cosmos DB container.
    pub name: &'static str,
    /// Paths of the partition key's levels, one to three, such as `/organizationId`.
    pub partition_key: Vec<&'static str>,
    /// Indexes beyond the partition key and id.
    pub indexes: Vec<Index>,
    /// Fields that hold vectors.
    pub vectors: Vec<VectorField>,
}

/// An index over one or two top-level or dotted fields; queries that sort by them read only their page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Index {
    /// Field paths, such as `status` or `scope.id`.
    pub fields: Vec<&'static str>,
}

/// A field that holds a vector of 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct VectorField {
    /// The field's name.
    pub field: &'static str,
    /// Numbers a vector.
    pub dimensions: u32,
}

impl Container {
    /// A container partitioned by `/partitionKey`.
    pub fn new(name: &'static str) -> Self {
        Self { name, partition_key: vec!["/partitionKey"], indexes: Vec::new(), vectors: Vec::new() }
    }

    /// A container whose partitions are divided further, by `/bucket`: for what can outgrow the store's bound
    /// of one partition.
    pub fn bucketed(name: &'static str) -> Self {
        Self::new(name).partition_key(["/partitionKey", "/bucket"])
    }

    /// Replaces the partition key's paths.
    pub fn partition_key<const N: usize>(mut self, paths: [&'static str; N]) -> Self {
        self.partition_key = paths.to_vec();
        self
    }

    /// The partition in which the platform keeps documents of its own, such as what a consumer has taken; in the
    /// bucket `runtime` where the container has a second level.
    pub fn bookkeeping(&self, kind: &str, id: impl std::fmt::Display) -> Partition {
        let partition = Partition::keyed(kind, id);
        if self.partition_key.len() > 1 { partition.bucket("runtime") } else { partition }
    }

    /// Adds an index.
    pub fn index<const N: usize>(mut self, fields: [&'static str; N]) -> Self {
        self.indexes.push(Index { fields: fields.to_vec() });
        self
    }

    /// Adds a vector field.
    pub fn vector(mut self, field: &'static str, dimensions: u32) -> Self {
        self.vectors.push(VectorField { field, dimensions });
        self
    }
}
