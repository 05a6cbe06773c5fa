//! What the group's handlers, consumers and jobs work with, and the steps that several of them share.

pub mod erase;
pub mod import;
pub mod input;
pub mod limits;
pub mod resolve;
pub mod reveal;
pub mod rotate;
pub mod webhook;
pub mod write;

use std::ops::Deref;
use std::sync::Arc;

use coder_core::Timestamp;
use coder_database::Repository;
use coder_database::claim::Claim;
use coder_handler::Peers;
use coder_middleware::Runtime;
use coder_vault::{KeyVault, Zeroizing};

use crate::keys::DataKeys;
use crate::model::{AccessRecord, CONTAINER, Grant, Secret, Tally, Version};
use crate::service::webhook::Webhooks;

/// The group's service.
#[derive(Debug, Clone)]
pub struct Secrets(Arc<Parts>);

/// What the service is made of. Every document is in its organization's partition.
#[derive(Debug)]
pub struct Parts {
    /// The services of the platform.
    pub runtime: Arc<Runtime>,
    /// The other groups.
    pub peers: Arc<Peers>,
    /// Data keys.
    pub keys: DataKeys,
    /// Secrets, without values.
    pub secrets: Repository<Secret>,
    /// Versions, with encrypted values.
    pub versions: Repository<Version>,
    /// Grants.
    pub grants: Repository<Grant>,
    /// The record of every use.
    pub accesses: Repository<AccessRecord>,
    /// Claims on names and grants.
    pub claims: Repository<Claim>,
    /// How many secrets there are.
    pub tallies: Repository<Tally>,
    /// Calls to receivers of rotations.
    pub webhooks: Webhooks,
    fingerprint_key: Zeroizing<[u8; 32]>,
}

impl Deref for Secrets {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Secrets {
    /// The service of a group that starts.
    pub fn new(runtime: Arc<Runtime>, peers: Arc<Peers>) -> Self {
        let vault = runtime.vault.clone();
        Self::with_vault(runtime, peers, vault)
    }

    /// The service with another key vault than the settings name.
    pub fn with_vault(runtime: Arc<Runtime>, peers: Arc<Peers>, vault: Arc<dyn KeyVault>) -> Self {
        let store = &runtime.store;
        Self(Arc::new(Parts {
            keys: DataKeys::new(runtime.clone(), vault),
            secrets: Repository::new(store.clone(), CONTAINER),
            versions: Repository::new(store.clone(), CONTAINER),
            grants: Repository::new(store.clone(), CONTAINER),
            accesses: Repository::new(store.clone(), CONTAINER),
            claims: Repository::new(store.clone(), CONTAINER),
            tallies: Repository::new(store.clone(), CONTAINER),
            webhooks: Webhooks::new(&runtime),
            fingerprint_key: runtime.master.derive("secrets-fingerprint"),
            peers,
            runtime,
        }))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.runtime.ambient.now()
    }
}
