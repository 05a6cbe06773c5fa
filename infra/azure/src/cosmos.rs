//! The document store on Azure Cosmos DB.
//!
//! | file | subject |
//! |---|---|
//! | `store` | the trait |
//! | `client` | the SDK's client, made at first use, and its limits |
//! | `envelope` | the fields that are stored beside a document's own, and entity tags |
//! | `plan` | a batch applied to what is known of its documents |
//! | `write` | a plan sent, and sent again when somebody was faster |
//! | `lost` | whether a write took effect whose answer was lost |
//! | `filter`, `sql`, `order`, `position`, `search` | queries as Cosmos SQL |
//! | `error` | what the SDK's errors mean |
//! | `charge` | what operations cost |
//!
//! **Guards.** Every write that reaches the service is a creation or carries `If-Match`, so that one that is repeated
//! by the SDK, or arrives late, changes nothing twice. A guard that fails is resolved by reading: every document keeps
//! the id of the write that made it what it is.
//!
//! **Consistency.** Session: a process reads what it wrote itself, since the SDK keeps the session token. Between
//! processes reads may lag behind by what replication takes; writes never build on what has lagged, because the guard
//! fails and the documents are read again.
//!
//! **Expiry.** The service removes documents in its own time. What is over is hidden here, by the platform's clock.

mod charge;
mod client;
mod envelope;
mod error;
mod filter;
mod lost;
mod order;
mod plan;
mod position;
mod search;
mod sql;
mod store;
mod write;

pub use charge::{Charge, OnCharge};
pub use client::{Account, Connect, DATABASE, Limits};
pub use store::CosmosStore;
