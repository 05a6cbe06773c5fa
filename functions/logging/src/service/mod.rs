//! The service of the group: repositories, and the steps that endpoints, consumers and jobs share.

mod access;
pub mod aggregate;
pub mod alerts;
pub mod append;
pub mod checkpoints;
pub mod erasure;
pub mod evidence;
pub mod exports;
pub mod files;
pub mod filter;
mod lane;
pub mod policies;
mod position;
pub mod retention;
pub mod rules;
pub mod search;

use std::ops::Deref;
use std::sync::Arc;

use coder_core::{Actor, ActorKind, Result, Timestamp};
use coder_database::transaction::Act;
use coder_database::{Entity, Partition, Record, Repository, Transaction};
use coder_handler::Peers;
use coder_middleware::Runtime;

use crate::model::{
    Alert, AlertCooldown, AlertPosition, AlertRule, AuditSettings, Beginning, CONTAINER, Checkpoint, Chunk,
    Entry, Erasure, Export, Head, PublicKey, Purged, RetentionPolicy, Segment, Trail, Verification,
};
pub(crate) use access::caller;
use lane::Lanes;

/// The group's service. Clones share everything.
#[derive(Debug, Clone)]
pub struct Logging(Arc<Parts>);

/// What the service is made of.
#[derive(Debug)]
pub struct Parts {
    /// The services of the platform.
    pub runtime: Arc<Runtime>,
    /// The other groups.
    pub peers: Arc<Peers>,
    /// Entries.
    pub entries: Repository<Entry>,
    /// Heads.
    pub heads: Repository<Head>,
    /// What is left of removed months.
    pub segments: Repository<Segment>,
    /// Checkpoints.
    pub checkpoints: Repository<Checkpoint>,
    /// Keys that signed them.
    pub keys: Repository<PublicKey>,
    /// An organization's own retention policies.
    pub policies: Repository<RetentionPolicy>,
    /// An organization's own alert rules, and the shipped ones that it changed.
    pub rules: Repository<AlertRule>,
    /// Alerts.
    pub alerts: Repository<Alert>,
    /// Rules that stay quiet.
    pub cooldowns: Repository<AlertCooldown>,
    /// How far the rules have looked.
    pub positions: Repository<AlertPosition>,
    /// Exports.
    pub exports: Repository<Export>,
    /// Pieces of files.
    pub chunks: Repository<Chunk>,
    /// Settings.
    pub settings: Repository<AuditSettings>,
    /// Verifications.
    pub verifications: Repository<Verification>,
    /// Erasures.
    pub erasures: Repository<Erasure>,
    /// In which month each chain begins.
    pub beginnings: Repository<Beginning>,
    /// Marks of purged organizations.
    pub purged: Repository<Purged>,
    lanes: Lanes,
}

impl Deref for Logging {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Logging {
    /// The service of a group that starts.
    pub fn new(runtime: Arc<Runtime>, peers: Arc<Peers>) -> Self {
        Self(Arc::new(Parts {
            entries: repository(&runtime),
            heads: repository(&runtime),
            segments: repository(&runtime),
            checkpoints: repository(&runtime),
            keys: repository(&runtime),
            policies: repository(&runtime),
            rules: repository(&runtime),
            alerts: repository(&runtime),
            cooldowns: repository(&runtime),
            positions: repository(&runtime),
            exports: repository(&runtime),
            chunks: repository(&runtime),
            settings: repository(&runtime),
            verifications: repository(&runtime),
            erasures: repository(&runtime),
            beginnings: repository(&runtime),
            purged: repository(&runtime),
            lanes: Lanes::default(),
            runtime,
            peers,
        }))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.runtime.ambient.now()
    }

    /// What an organization has its log capture, with the defaults.
    pub async fn settings_of(&self, trail: Trail) -> Result<AuditSettings> {
        let found = self.settings.find(&trail.config(), AuditSettings::ID).await?;
        Ok(found.map(|found| found.data).unwrap_or_default())
    }

    /// The heads of all months, oldest first.
    pub async fn heads_of(&self, trail: Trail) -> Result<Vec<Record<Head>>> {
        // Ten years are the longest retention.
        let mut heads = self.heads.all(&trail.all(), None, 1200).await?;
        heads.sort_by_key(|head| head.data.month);
        Ok(heads)
    }

    /// The number of the last entry; 0 without any.
    pub async fn last_seq(&self, trail: Trail) -> Result<u64> {
        Ok(self.heads_of(trail).await?.last().map_or(0, |head| head.data.last_seq))
    }

    /// A transaction of the log's own, which is nobody's act and leaves no note of its own.
    fn own_transaction(&self, partition: Partition) -> Transaction {
        let runtime = &self.runtime;
        let act = Act {
            actor: Actor::new(ActorKind::Service, runtime.group),
            action: "append_entries".into(),
            request_id: String::new(),
            group: runtime.group,
            traceparent: None,
        };
        let (store, ambient) = (runtime.store.clone(), runtime.ambient.clone());
        Transaction::new(store, ambient, CONTAINER, partition, act).without_audit()
    }

    /// Commits a transaction of the log's own, and has its events published.
    async fn commit_own(&self, transaction: Transaction) -> Result<()> {
        let committed = transaction.commit().await?;
        if !committed.outbox.is_empty() {
            self.runtime.outbox.committed(committed.outbox);
        }
        Ok(())
    }
}

fn repository<T: Entity>(runtime: &Runtime) -> Repository<T> {
    Repository::new(runtime.store.clone(), CONTAINER)
}
