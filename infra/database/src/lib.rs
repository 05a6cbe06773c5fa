//! Documents: the store trait that every provider implements, the filter model, typed repositories, and the
//! transaction that keeps a change, its claims, its events, its audit entry and its idempotency record together.
//!
//! It is no ORM and knows no SQL: providers (`coder-embedded`, `coder-azure`) do. Entry points: [`DocumentStore`]
//! for providers, [`Repository`] and [`Transaction`] for route groups.

pub mod audit;
pub mod claim;
pub mod container;
#[cfg(feature = "contract")]
pub mod contract;
pub mod document;
pub mod entity;
pub mod filter;
pub mod idempotency;
pub mod merge;
pub mod outbox;
pub mod patch;
pub mod query;
pub mod repository;
pub mod rules;
pub mod store;
pub mod transaction;
pub mod vector;

pub use audit::{AuditEntry, Change};
pub use container::{Container, Index, VectorField};
pub use document::Document;
pub use entity::{Entity, Meta, Record};
pub use filter::Filter;
pub use outbox::{Destination, OutboxRecord};
pub use query::{Direction, Page, Query};
pub use repository::{Partition, PlatformJob, Repository};
pub use store::{DocumentStore, Operation, PartitionKey, Patch, StoreError, Written};
pub use transaction::Transaction;
