//! Data keys go into the vault and come out of it, and only in their own tenant's place.

use coder_azure::key_vault::AzureKeyVault;
use coder_vault::{DataKey, KeyVault as _, VaultError, WrappedKey};
use http::StatusCode;
use jiff::SignedDuration;

use super::ambient;
use crate::doubles::key_vault::{Double, HOST};

#[tokio::test]
async fn a_data_key_comes_back_only_to_its_tenant() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.rotate("kek");
    let vault = AzureKeyVault::new(vault, "kek");
    let key = DataKey::generate(&ambient);
    let wrapped = vault.wrap(&key, "tenant").await.unwrap();
    assert_eq!(wrapped.wrapped_by, format!("https://{HOST}/keys/kek/{:032x}", 0));
    assert_eq!(wrapped.algorithm, "RSA-OAEP-256");
    assert_eq!(vault.unwrap(&wrapped, "tenant").await.unwrap().expose(), key.expose());
    assert_eq!(vault.unwrap(&wrapped, "another").await.unwrap_err(), VaultError::Refused);
    // Once more is another text.
    assert_ne!(vault.wrap(&key, "tenant").await.unwrap().text, wrapped.text);
    let asked = double.asked();
    assert!(asked.iter().skip(1).all(|line| line.contains(" token")), "{asked:?}");
    assert!(asked.contains(&format!("POST /keys/kek/{:032x}/wrapkey?api-version=2025-07-01 token body", 0)));
}

#[tokio::test]
async fn what_does_not_belong_here_is_refused_without_asking() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.rotate("kek");
    let vault = AzureKeyVault::new(vault, "kek");
    let wrapped = vault.wrap(&DataKey::generate(&ambient), "tenant").await.unwrap();
    double.asked();
    let by = |id: String| WrappedKey { wrapped_by: id, ..wrapped.clone() };
    for id in [
        "local/1".to_owned(),
        format!("https://elsewhere.vault.azure.net/keys/kek/{:032x}", 0),
        format!("https://{HOST}/keys/other/{:032x}", 0),
        format!("https://{HOST}/keys/kek/"),
        format!("https://{HOST}/keys/kek/../../secrets/a"),
    ] {
        assert_eq!(
            vault.unwrap(&by(id.clone()), "tenant").await.unwrap_err(),
            VaultError::UnknownKey,
            "{id}"
        );
    }
    let foreign = WrappedKey { algorithm: "A256GCM".to_owned(), ..wrapped.clone() };
    assert_eq!(vault.unwrap(&foreign, "tenant").await.unwrap_err(), VaultError::NotSealed);
    let garbled = WrappedKey { text: "!".to_owned(), ..wrapped.clone() };
    assert_eq!(vault.unwrap(&garbled, "tenant").await.unwrap_err(), VaultError::NotSealed);
    assert_eq!(double.asked(), Vec::<String>::new());

    // These the vault itself must see.
    let absent = by(format!("https://{HOST}/keys/kek/{:032x}", 9));
    assert_eq!(vault.unwrap(&absent, "tenant").await.unwrap_err(), VaultError::UnknownKey);
    let changed = WrappedKey { text: "AAAA".repeat(86)[..342].to_owned(), ..wrapped };
    assert_eq!(vault.unwrap(&changed, "tenant").await.unwrap_err(), VaultError::Refused);
}

#[tokio::test]
async fn a_new_version_wraps_after_five_minutes_and_the_old_one_still_unwraps() {
    let (ambient, clock) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.rotate("kek");
    let vault = AzureKeyVault::new(vault, "kek");
    let key = DataKey::generate(&ambient);
    let old = vault.wrap(&key, "tenant").await.unwrap();
    double.rotate("kek");
    clock.advance(SignedDuration::from_secs(299));
    assert_eq!(vault.newest().await.unwrap(), old.wrapped_by);
    clock.advance(SignedDuration::from_secs(1));
    let new = vault.wrap(&key, "tenant").await.unwrap();
    assert_ne!(new.wrapped_by, old.wrapped_by);
    assert_eq!(vault.newest().await.unwrap(), new.wrapped_by);
    for wrapped in [old, new] {
        assert_eq!(vault.unwrap(&wrapped, "tenant").await.unwrap().expose(), key.expose());
    }
}

#[tokio::test]
async fn a_vault_that_is_away_is_no_verdict_on_the_key() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.rotate("kek");
    let vault = AzureKeyVault::new(vault, "kek");
    let key = DataKey::generate(&ambient);
    let wrapped = vault.wrap(&key, "tenant").await.unwrap();
    for (status, code) in [
        (StatusCode::TOO_MANY_REQUESTS, "Throttled"),
        (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        (StatusCode::FORBIDDEN, "ForbiddenByRbac"),
    ] {
        double.fail(4, status, code);
        assert_eq!(vault.unwrap(&wrapped, "tenant").await.unwrap_err(), VaultError::Unavailable, "{code}");
        double.faults.lock().unwrap().clear();
        assert_eq!(vault.unwrap(&wrapped, "tenant").await.unwrap().expose(), key.expose());
    }
}
