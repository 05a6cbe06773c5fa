//! The Key Vault providers on a double that speaks like the real vault.

mod faults;
mod signing;
mod wrapping;

use coder_azure::key_vault::{MasterKeyFault, Vault, master_key};
use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_vault::MasterKey;
use secrecy::ExposeSecret as _;

use crate::doubles::key_vault::Double;

fn ambient() -> (Ambient, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap());
    (Ambient::new(clock.clone(), OsEntropy), clock)
}

#[tokio::test]
async fn the_first_request_asks_whose_token_to_bring_and_the_others_bring_it() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.secrets.lock().unwrap().insert("a".to_owned(), "one".to_owned());
    assert_eq!(vault.secret("a").await.unwrap().expose_secret(), "one");
    assert_eq!(vault.clone().secret("a").await.unwrap().expose_secret(), "one");
    let path = "/secrets/a/?api-version=2025-07-01";
    let expected = ["nobody", "token", "token"].map(|who| format!("GET {path} {who}"));
    assert_eq!(double.asked(), expected);
    assert_eq!(*double.scopes.lock().unwrap(), ["https://vault.azure.net/.default"]);
}

#[tokio::test]
async fn the_master_key_is_a_secret_of_32_bytes() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    let key = MasterKey::new([7; 32]);
    let text = key.to_base64().expose_secret().to_owned();
    double.secrets.lock().unwrap().insert("coder-master-key".to_owned(), text);
    double.secrets.lock().unwrap().insert("other".to_owned(), "hunter2".to_owned());
    let read = master_key(&vault, "coder-master-key").await.unwrap();
    assert_eq!(read.derive("test"), key.derive("test"));
    let fault = master_key(&vault, "other").await.unwrap_err();
    assert_eq!(fault, MasterKeyFault::NotAKey("other".to_owned()));
    assert!(!fault.to_string().contains("hunter2"));
    let fault = master_key(&vault, "absent").await.unwrap_err();
    assert_eq!(fault.to_string(), "the master key cannot be read: the key vault has no secret `absent`");
}

#[test]
fn only_an_address_of_a_vault_is_one() {
    let vault =
        |url: &str| Vault::new(url, std::sync::Arc::new(Double::default()), Ambient::system()).map(drop);
    for url in ["https://coder.vault.azure.net/", "https://coder.vault.azure.net"] {
        vault(url).unwrap();
    }
    for url in [
        "",
        "coder.vault.azure.net",
        "http://coder.vault.azure.net/",
        "https://coder.vault.azure.net/keys/a",
        "https://coder.vault.azure.net/?a=b",
    ] {
        vault(url).unwrap_err();
    }
}
