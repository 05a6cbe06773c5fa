//! Data keys: one active in each organization, wrapped by the key vault, replaced when old or much used.

mod cache;

use std::sync::Arc;

use coder_core::{Failure, Result, Timestamp};
use coder_database::{Operation, Partition, Patch, Record, Repository, Transaction};
use coder_middleware::Runtime;
use coder_vault::{DataKey, KeyVault, VaultError, WrappedKey};
use jiff::SignedDuration;

use crate::model::{CONTAINER, DataKeyRecord, DataKeyState, KeyRing};
use cache::KeyCache;

/// Days for which a data key encrypts.
const LONGEST_DAYS: i64 = 90;

/// How often a data key encrypts. Random nonces would allow 2³².
const MOST_ENCRYPTIONS: i64 = 1 << 20;

/// An active data key, in the clear.
#[derive(Debug, Clone)]
pub struct ActiveKey {
    /// Its id.
    pub id: String,
    /// The key.
    pub key: Arc<DataKey>,
}

/// The data keys of every organization.
#[derive(Debug)]
pub struct DataKeys {
    /// Wraps them.
    pub vault: Arc<dyn KeyVault>,
    /// Which is active.
    pub rings: Repository<KeyRing>,
    /// The keys, wrapped.
    pub records: Repository<DataKeyRecord>,
    runtime: Arc<Runtime>,
    cache: KeyCache,
}

impl DataKeys {
    /// The data keys in the platform's store.
    pub fn new(runtime: Arc<Runtime>, vault: Arc<dyn KeyVault>) -> Self {
        let store = &runtime.store;
        Self {
            vault,
            rings: Repository::new(store.clone(), CONTAINER),
            records: Repository::new(store.clone(), CONTAINER),
            cache: KeyCache::new(runtime.ambient.clone()),
            runtime,
        }
    }

    /// The key to encrypt one value with in this transaction, which counts the use; a key that is due is replaced.
    pub async fn for_writing(&self, unit: &mut Transaction) -> Result<ActiveKey> {
        let partition = unit.partition().clone();
        if let Some(ring) = self.rings.find(&partition, KeyRing::ID).await? {
            let active = self.records.get(&partition, &ring.data.active_key_id).await?;
            if !is_due(&active.data, unit.now()) {
                let key = self.unwrapped(&partition, &active).await?;
                let patches = vec![Patch::Increment { field: "encryptions".to_owned(), by: 1 }];
                unit.push(Operation::Patch { id: active.meta.id.clone(), patches, if_match: None });
                return Ok(ActiveKey { id: active.meta.id, key });
            }
            return self.replace(unit, Some((&ring, &active)), 1).await;
        }
        self.replace(unit, None, 1).await
    }

    /// The active key, without counting a use; `None` before the first secret.
    pub async fn active(&self, partition: &Partition) -> Result<Option<ActiveKey>> {
        let Some(ring) = self.rings.find(partition, KeyRing::ID).await? else { return Ok(None) };
        let record = self.records.get(partition, &ring.data.active_key_id).await?;
        let key = self.unwrapped(partition, &record).await?;
        Ok(Some(ActiveKey { id: record.meta.id, key }))
    }

    /// The key of this id, to decrypt with.
    pub async fn for_reading(&self, partition: &Partition, id: &str) -> Result<Arc<DataKey>> {
        if let Some(key) = self.cache.get(id) {
            return Ok(key);
        }
        let record = self.records.get(partition, id).await?;
        self.unwrapped(partition, &record).await
    }

    /// Makes a new active key; the one before decrypts only.
    pub async fn rotate(&self, unit: &mut Transaction) -> Result<ActiveKey> {
        let partition = unit.partition().clone();
        match self.rings.find(&partition, KeyRing::ID).await? {
            Some(ring) => {
                let active = self.records.get(&partition, &ring.data.active_key_id).await?;
                self.replace(unit, Some((&ring, &active)), 0).await
            }
            None => self.replace(unit, None, 0).await,
        }
    }

    /// Rotates the organization's key if it is due; the second value says whether it was.
    pub async fn rotate_if_due(&self, unit: &mut Transaction, ring: &Record<KeyRing>) -> Result<bool> {
        let active = self.records.get(&unit.partition().clone(), &ring.data.active_key_id).await?;
        if !is_due(&active.data, unit.now()) {
            return Ok(false);
        }
        self.replace(unit, Some((ring, &active)), 0).await.map(|_| true)
    }

    async fn replace(
        &self,
        unit: &mut Transaction,
        before: Option<(&Record<KeyRing>, &Record<DataKeyRecord>)>,
        encryptions: i64,
    ) -> Result<ActiveKey> {
        let key = DataKey::generate(&self.runtime.ambient);
        let wrapped = self.vault.wrap(&key, &context(unit.partition())?).await?;
        let id = unit.new_id();
        let record = DataKeyRecord {
            wrapped_key: wrapped.text,
            key_encryption_key_id: wrapped.wrapped_by,
            wrap_algorithm: wrapped.algorithm,
            state: DataKeyState::Active,
            encryptions,
            activated_at: unit.now(),
        };
        unit.create(&id, record)?;
        let ring = KeyRing { active_key_id: id.clone() };
        match before {
            Some((present, active)) => {
                unit.replace(present, ring)?;
                let retired = DataKeyRecord { state: DataKeyState::DecryptOnly, ..active.data.clone() };
                unit.replace(active, retired)?;
            }
            // Two first secrets at once: the second runs again and finds the first's key.
            None => unit.push(Operation::Create {
                id: KeyRing::ID.to_owned(),
                body: first_ring(unit, ring)?,
                expires_at: None,
            }),
        }
        unit.emit("key.rotated", &id, serde_json::json!({"dataKeyId": id}));
        Ok(ActiveKey { id, key: Arc::new(key) })
    }

    /// Wraps a data key again if the vault has a newer key; the second value says whether it had.
    pub async fn rewrap(&self, unit: &mut Transaction, record: &Record<DataKeyRecord>) -> Result<bool> {
        if record.data.state == DataKeyState::Destroyed
            || record.data.key_encryption_key_id == self.vault.newest().await?
        {
            return Ok(false);
        }
        let partition = unit.partition().clone();
        let key = self.unwrapped(&partition, record).await?;
        let wrapped = self.vault.wrap(&key, &context(&partition)?).await?;
        let after = DataKeyRecord {
            wrapped_key: wrapped.text,
            key_encryption_key_id: wrapped.wrapped_by,
            wrap_algorithm: wrapped.algorithm,
            ..record.data.clone()
        };
        unit.replace(record, after)?;
        Ok(true)
    }

    /// Destroys a data key: what it encrypted can be read by nobody any more.
    pub fn destroy(&self, unit: &mut Transaction, record: &Record<DataKeyRecord>) -> Result<()> {
        self.cache.forget(&record.meta.id);
        let state = DataKeyState::Destroyed;
        let after = DataKeyRecord { wrapped_key: String::new(), state, ..record.data.clone() };
        unit.replace(record, after).map(|_| ())
    }

    async fn unwrapped(&self, partition: &Partition, record: &Record<DataKeyRecord>) -> Result<Arc<DataKey>> {
        if let Some(key) = self.cache.get(&record.meta.id) {
            return Ok(key);
        }
        let data = &record.data;
        if data.state == DataKeyState::Destroyed {
            return Err(Failure::internal(format!("the data key `{}` is destroyed", record.meta.id)));
        }
        let wrapped = WrappedKey {
            wrapped_by: data.key_encryption_key_id.clone(),
            algorithm: data.wrap_algorithm.clone(),
            text: data.wrapped_key.clone(),
        };
        let key = self.vault.unwrap(&wrapped, &context(partition)?).await.inspect_err(|error| {
            if *error != VaultError::Unavailable {
                tracing::error!(data_key = record.meta.id, cause = %error, "a data key cannot be unwrapped");
            }
        })?;
        Ok(self.cache.keep(&record.meta.id, key))
    }
}

fn is_due(key: &DataKeyRecord, now: Timestamp) -> bool {
    now.duration_since(key.activated_at) >= SignedDuration::from_hours(24 * LONGEST_DAYS)
        || key.encryptions >= MOST_ENCRYPTIONS
}

/// Whose key it is; bound to the wrapped key.
fn context(partition: &Partition) -> Result<String> {
    let organization = partition.organization_id();
    organization
        .map(|id| id.to_string())
        .ok_or_else(|| Failure::internal("data keys belong to organizations"))
}

fn first_ring(unit: &Transaction, ring: KeyRing) -> Result<serde_json::Value> {
    let record = unit.record(KeyRing::ID, ring);
    let mut body = serde_json::to_value(&record).map_err(Failure::internal)?;
    body["partitionKey"] = unit.partition().key().0.into_iter().next().into();
    Ok(body)
}
