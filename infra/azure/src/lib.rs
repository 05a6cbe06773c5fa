//! The providers of the cloud: Cosmos DB, Service Bus, Key Vault, Managed Redis and managed identity.

pub mod cosmos;
pub mod credential;
mod fault;
pub mod key_vault;
pub mod redis;
pub mod service_bus;
