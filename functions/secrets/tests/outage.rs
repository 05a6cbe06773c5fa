//! The key vault is away, or was never set up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coder_config::Environment;
use coder_core::Code;
use coder_database::Partition;
use coder_secrets::service::Secrets;
use coder_testkit::{Team, TestPlatform};
use coder_vault::{DataKey, KeyVault, LocalKeyVault, VaultError, WrappedKey};
use jiff::SignedDuration;
use serde_json::json;

use crate::harness::{World, api_key};

#[derive(Debug)]
struct Shaky {
    inner: LocalKeyVault,
    away: AtomicBool,
}

impl Shaky {
    fn check(&self) -> Result<(), VaultError> {
        if self.away.load(Ordering::SeqCst) { Err(VaultError::Unavailable) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl KeyVault for Shaky {
    async fn newest(&self) -> Result<String, VaultError> {
        self.check()?;
        self.inner.newest().await
    }

    async fn wrap(&self, key: &DataKey, context: &str) -> Result<WrappedKey, VaultError> {
        self.check()?;
        self.inner.wrap(key, context).await
    }

    async fn unwrap(&self, wrapped: &WrappedKey, context: &str) -> Result<DataKey, VaultError> {
        self.check()?;
        self.inner.unwrap(wrapped, context).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_serve_for_five_minutes() {
    let world = World::start().await;
    api_key(&world.team.owner, "A", "value").await;
    let keys = world.team.owner.get("/api/secrets/keys").await.expect(200);
    let id = keys.text("/items/0/id");
    let here: Secrets = world.platform.platform.service("secrets").unwrap();
    let runtime = here.runtime.clone();
    let inner = LocalKeyVault::new(&runtime.master, runtime.ambient.clone());
    let vault = Arc::new(Shaky { inner, away: AtomicBool::new(false) });
    let secrets = Secrets::with_vault(runtime, here.peers.clone(), vault.clone());
    let partition = Partition::organization(world.team.organization_id);
    secrets.keys.for_reading(&partition, &id).await.unwrap();
    vault.away.store(true, Ordering::SeqCst);
    world.platform.clock.advance(SignedDuration::from_secs(299));
    secrets.keys.for_reading(&partition, &id).await.unwrap();
    world.platform.clock.advance(SignedDuration::from_secs(1));
    let failure = secrets.keys.for_reading(&partition, &id).await.unwrap_err();
    assert_eq!(failure.code(), Some(Code::KeyUnavailable));
    vault.away.store(false, Ordering::SeqCst);
    secrets.keys.for_reading(&partition, &id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_production_no_key_is_made_up() {
    let platform = TestPlatform::start_with(|settings| {
        settings.environment = Environment::Production;
        settings.master_key = None;
    })
    .await;
    let owner = platform.register("owner@example.com", Some("Acme")).await;
    let body = json!({"name": "A", "kind": "api_key", "value": {"key": "value"}});
    let refused = owner.post("/api/secrets", body).await.expect_problem(503, "key_unavailable");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(owner.get("/api/secrets").await.expect(200).body["items"], json!([]));
    owner.post("/api/secrets/keys/rotate", json!({})).await.expect_problem(503, "key_unavailable");
    drop(platform);
    // The same in development goes on with a key of its own.
    let platform = TestPlatform::start_with(|settings| settings.master_key = None).await;
    let team = Team::of(&platform).await;
    api_key(&team.owner, "A", "value").await;
}
