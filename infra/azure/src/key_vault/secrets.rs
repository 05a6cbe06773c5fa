//! Secrets of the platform itself. Those of customers are documents, encrypted under data keys.

use coder_vault::MasterKey;
use secrecy::SecretString;

use super::{KeyVaultFault, Vault};

/// The master key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyFault {
    /// The vault.
    #[error("the master key cannot be read: {0}")]
    Vault(#[from] KeyVaultFault),
    /// What is there is something else.
    #[error(
        "the secret `{0}` of the key vault is not base64 of 32 bytes; `openssl rand -base64 32` makes one"
    )]
    NotAKey(String),
}

impl Vault {
    /// The newest version of a secret. The identity needs the role *Key Vault Secrets User*.
    pub async fn secret(&self, name: &str) -> Result<SecretString, KeyVaultFault> {
        let what = format!("secret `{name}`");
        let answer = async { self.secrets()?.get_secret(name, None).await?.into_model() };
        let value = self.call(&what, answer).await?.value;
        value.map(SecretString::from).ok_or(KeyVaultFault::Missing(what))
    }
}

/// The platform's master key: the secret of this name, base64 of 32 bytes.
pub async fn master_key(vault: &Vault, name: &str) -> Result<MasterKey, MasterKeyFault> {
    MasterKey::from_base64(&vault.secret(name).await?).map_err(|_| MasterKeyFault::NotAKey(name.to_owned()))
}
