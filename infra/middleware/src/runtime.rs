//! What the platform gives every group at start-up: providers behind their traits, keys, settings.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use coder_cache::{RateLimiter, Revocations};
use coder_config::Settings;
use coder_core::cursor::CursorSealer;
use coder_core::permission::PermissionDeclaration;
use coder_core::{Ambient, Failure, OrganizationId, PermissionSet, Scope, UserId};
use coder_database::{Container, DocumentStore, Partition};
use coder_queue::{OutboxNotifier, Publisher};
use coder_telemetry::Metrics;
use coder_vault::{KeyVault, MasterKey, Sealer};

/// Says what a person may do; implemented by the `users` group, near or far.
#[async_trait]
pub trait Authorizer: Send + Sync + fmt::Debug {
    /// The effective permissions of a person at a scope; empty for a stranger. At most 60 s old.
    async fn permissions(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
        scope: Scope,
    ) -> Result<Arc<PermissionSet>, Failure>;
}

/// The services of the platform, as one group sees them.
#[derive(Debug)]
pub struct Runtime {
    /// The group that this runtime serves.
    pub group: &'static str,
    /// The group's first container, where the platform keeps what belongs to none of its resources.
    pub container: &'static str,
    /// All of the group's containers.
    pub containers: Arc<[Container]>,
    /// Time, randomness, ids.
    pub ambient: Ambient,
    /// Settings, read once.
    pub settings: Arc<Settings>,
    /// Documents.
    pub store: Arc<dyn DocumentStore>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Publishes committed events.
    pub outbox: Arc<dyn OutboxNotifier>,
    /// Publishes what is in no transaction: a delivery that is to be made again later.
    pub publisher: Arc<dyn Publisher>,
    /// Token buckets.
    pub limiter: Arc<dyn RateLimiter>,
    /// What has been revoked; the `auth` group adds to it where it runs in this process.
    pub revocations: Arc<Revocations>,
    /// Page cursors.
    pub cursors: CursorSealer,
    /// Encrypts answers that are kept for replay.
    pub sealer: Sealer,
    /// Key of the HMAC over requests that carry an idempotency key.
    pub request_mac_key: [u8; 32],
    /// Every permission of the platform.
    pub catalogue: Arc<[PermissionDeclaration]>,
    /// Wraps the data keys of tenants.
    pub vault: Arc<dyn KeyVault>,
    /// The key that a group derives its own keys from, by purpose.
    pub master: MasterKey,
    /// Counters.
    pub metrics: Metrics,
}

impl Runtime {
    /// The partition of one looked-up thing in the group's first container, where the platform keeps what belongs
    /// to none of the group's resources: a timer, an event that was seen.
    pub fn own_partition(&self, kind: &str, id: impl fmt::Display) -> Partition {
        match self.containers.first() {
            Some(container) => container.bookkeeping(kind, id),
            None => Partition::keyed(kind, id),
        }
    }
}
