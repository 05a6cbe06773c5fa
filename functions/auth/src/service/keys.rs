//! The keys that sign access tokens: made once, kept sealed, read again now and then.

use std::sync::Arc;

use async_trait::async_trait;
use coder_core::{Actor, ActorKind, Code, Failure, Problem, Timestamp};
use coder_database::transaction::Act;
use coder_database::{Record, Repository, Transaction};
use coder_middleware::runtime::Runtime;
use coder_middleware::token::KeySource;
use coder_vault::Sealer;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize as _;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Auth, repository};
use crate::model::{CONTAINER, KeyState, SigningKey};
use crate::token::{GeneratedKey, KeySigner};

/// Seconds after which the stored keys are looked at again, so that a rotation elsewhere is noticed.
const RELOAD_SECONDS: i64 = 60;

/// Most keys that are ever stored: one of each state, and some that raced.
const MOST: usize = 100;

/// The platform's signing keys.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    runtime: Arc<Runtime>,
    stored: Repository<SigningKey>,
    /// Seals private halves.
    pub(crate) sealer: Sealer,
    loaded: Mutex<Option<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    signer: Arc<KeySigner>,
    read_at: Timestamp,
}

impl SigningKeys {
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        let sealer = runtime.master.sealer("signing-key", runtime.ambient.clone());
        Self { stored: repository(&runtime), runtime, sealer, loaded: Mutex::default() }
    }

    /// Every stored key.
    pub(crate) async fn all(&self) -> Result<Vec<Record<SigningKey>>, Failure> {
        self.stored.all(&SigningKey::partition(), None, MOST).await
    }

    /// The key that signs now. The first one ever is made here; whoever comes meanwhile waits for it.
    pub(crate) async fn signer(&self) -> Result<Arc<KeySigner>, Failure> {
        let mut loaded = self.loaded.lock().await;
        let now = self.runtime.ambient.now();
        if let Some(known) = &*loaded
            && now.duration_since(known.read_at).as_secs().abs() < RELOAD_SECONDS
        {
            return Ok(known.signer.clone());
        }
        let active = match self.active().await? {
            Some(active) => active,
            None => self.make_first().await?,
        };
        let signer = match loaded.take() {
            Some(known) if known.signer.kid() == active.kid => known.signer,
            _ => Arc::new(KeySigner::open(&active, &self.sealer).map_err(Failure::internal)?),
        };
        *loaded = Some(Loaded { signer: signer.clone(), read_at: now });
        Ok(signer)
    }

    /// Forgets what was read, so that a change of this process counts at once.
    pub(crate) async fn forget(&self) {
        *self.loaded.lock().await = None;
    }

    async fn active(&self) -> Result<Option<SigningKey>, Failure> {
        let keys = self.all().await?.into_iter().map(|key| key.data);
        let active = keys.filter(|key| key.state == KeyState::Active);
        Ok(active.max_by_key(|key| (key.activated_at, key.kid.clone())))
    }

    async fn make_first(&self) -> Result<SigningKey, Failure> {
        let made = tokio::task::spawn_blocking(GeneratedKey::generate).await.map_err(Failure::internal)?;
        self.store_first(&made.map_err(Failure::internal)?).await?;
        let missing = || Failure::internal("the first signing key was claimed but never stored");
        self.active().await?.ok_or_else(missing)
    }

    /// Stores the first key. Of two processes that do so at once one wins, and both use its key.
    async fn store_first(&self, key: &GeneratedKey) -> Result<(), Failure> {
        let runtime = &self.runtime;
        let document =
            key.document(KeyState::Active, &self.sealer, runtime.ambient.now()).map_err(Failure::internal)?;
        let act = Act {
            actor: Actor::new(ActorKind::Service, "auth"),
            action: "make_signing_key".into(),
            request_id: format!("start-{}", runtime.ambient.new_etag()),
            group: "auth",
            traceparent: None,
        };
        let (store, ambient) = (runtime.store.clone(), runtime.ambient.clone());
        let mut transaction = Transaction::new(store, ambient, CONTAINER, SigningKey::partition(), act);
        let taken = Problem::new(Code::AlreadyExists, "There is a signing key already.");
        transaction.claim("signing-key", &["first"], &key.kid, taken)?;
        transaction.create(&key.kid, document)?;
        transaction.emit("signing-key.rotated", &key.kid, json!({"kid": key.kid}));
        match transaction.commit().await {
            Ok(committed) => {
                runtime.outbox.committed(committed.outbox);
                Ok(())
            }
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

#[async_trait]
impl KeySource for SigningKeys {
    async fn public_keys(&self) -> Result<Vec<Jwk>, Failure> {
        let mut keys = self.all().await?;
        if keys.is_empty() {
            // The first answer must not be an empty set, which verifiers would keep for minutes.
            self.signer().await?;
            keys = self.all().await?;
        }
        keys.iter().map(|key| Jwk::deserialize(&key.data.public_jwk).map_err(Failure::internal)).collect()
    }
}

impl Auth {
    /// Makes what the first request would have to wait for: the signing key, which takes a core for a second on
    /// the very first start. To be called in the background, once the platform listens.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        self.keys.signer().await.map(|_| ())
    }

    /// Makes a given key (RSA, PKCS #8, DER) the one that signs, unless there is one already. For tests, which
    /// cannot wait for a new key.
    pub async fn install_signing_key(&self, pkcs8_der: &[u8]) -> Result<(), Failure> {
        let key = GeneratedKey::from_pkcs8(pkcs8_der).map_err(Failure::internal)?;
        self.keys.store_first(&key).await?;
        self.keys.forget().await;
        self.warm_up().await
    }
}
