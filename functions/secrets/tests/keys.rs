//! Data keys: when they are replaced, and wrapped again.

use std::sync::Arc;

use coder_database::{Partition, PlatformJob};
use coder_handler::Invocation;
use coder_secrets::jobs;
use coder_secrets::service::Secrets;
use coder_vault::{LocalKeyVault, MasterKey};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{World, api_key, key_of};

async fn keys(world: &World) -> Vec<Value> {
    let owner = world.platform.login(&world.team.owner.email).await;
    owner.get("/api/secrets/keys").await.expect(200).body["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_old_or_much_used_gives_way() {
    let world = World::start().await;
    let first = api_key(&world.team.owner, "A", "value-of-a").await;
    let id = keys(&world).await[0]["id"].as_str().unwrap().to_owned();
    let mut record = world.stored(&id).await;
    record["encryptions"] = json!(1 << 20);
    world.overwrite(&id, record).await;
    let second = api_key(&world.team.owner, "B", "value-of-b").await;
    let states =
        async || -> Vec<Value> { keys(&world).await.iter().map(|key| key["state"].clone()).collect() };
    assert_eq!(states().await, ["active", "decrypt_only"]);
    world.platform.clock.advance(SignedDuration::from_hours(24 * 90));
    let owner = world.platform.login(&world.team.owner.email).await;
    let third = api_key(&owner, "C", "value-of-c").await;
    assert_eq!(states().await, ["active", "decrypt_only", "decrypt_only"]);
    for (id, value) in [(first, "value-of-a"), (second, "value-of-b"), (third, "value-of-c")] {
        assert_eq!(key_of(&owner, &id).await, value);
    }
    // At night also without a write.
    world.platform.advance(SignedDuration::from_hours(24 * 91)).await;
    assert_eq!(states().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_key_of_the_vault_wraps_the_data_keys_again_and_leaves_the_values() {
    let world = World::start().await;
    let id = api_key(&world.team.owner, "A", "value-of-a").await;
    let key = keys(&world).await[0]["id"].as_str().unwrap().to_owned();
    let (before, version) = (world.stored(&key).await, world.stored(&format!("{id}:1")).await);
    let here: Secrets = world.platform.platform.service("secrets").unwrap();
    let ambient = here.runtime.ambient.clone();
    let partition = Partition::organization(world.team.organization_id);
    let old = here.keys.for_reading(&partition, &key).await.unwrap();
    let vault = LocalKeyVault::new(&here.runtime.master, ambient.clone());
    let vault = Arc::new(vault.renewed(&MasterKey::generate(&ambient), ambient));
    let renewed = Secrets::with_vault(here.runtime.clone(), here.peers.clone(), vault);
    let invocation = || Invocation {
        runtime: here.runtime.clone(),
        job: PlatformJob::begin(),
        name: "keys",
        id: "test".to_owned(),
        correlation_id: None,
    };
    jobs::maintain_keys(renewed.clone(), invocation()).await.unwrap();
    let after = world.stored(&key).await;
    assert_eq!(
        (&before["keyEncryptionKeyId"], &after["keyEncryptionKeyId"]),
        (&json!("local/1"), &json!("local/2"))
    );
    assert_ne!(before["wrappedKey"], after["wrappedKey"]);
    assert_eq!(world.stored(&format!("{id}:1")).await, version);
    let new = renewed.keys.for_reading(&partition, &key).await.unwrap();
    assert_eq!(old.expose(), new.expose());
    // A second run finds nothing to do.
    jobs::maintain_keys(renewed, invocation()).await.unwrap();
    assert_eq!(world.stored(&key).await["etag"], after["etag"]);
}
