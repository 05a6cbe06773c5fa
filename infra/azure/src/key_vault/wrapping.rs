//! Data keys, wrapped by a key of the vault.

use std::sync::Arc;

use async_trait::async_trait;
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, KeyClientWrapKeyOptions, KeyOperationParameters, KeyOperationResult,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Timestamp;
use coder_core::text::sha256;
use coder_vault::{DataKey, KeyVault, VaultError, WrappedKey, Zeroizing};
use jiff::SignedDuration;
use tokio::sync::Mutex;

use super::{KeyVaultFault, Vault};

/// How long it is believed which version is the newest. A rotation counts after that time at the latest.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);

/// Bytes of a data key; the digest of its context follows them.
const KEY_BYTES: usize = 32;

/// Wraps data keys by an RSA key of a Key Vault, which must be of 2,048 bits or more.
///
/// RSA-OAEP in Key Vault takes no label, so the digest of the context is encrypted together with the key: who moves
/// a wrapped key to another tenant's place cannot change it, and unwrapping notices. It does not prove who wrapped
/// the key, since everybody may encrypt with a public key; that is what rights on the store are for.
#[derive(Debug, Clone)]
pub struct AzureKeyVault {
    vault: Vault,
    key: String,
    newest: Arc<Mutex<Option<Newest>>>,
}

#[derive(Debug)]
struct Newest {
    version: String,
    asked_at: Timestamp,
}

impl AzureKeyVault {
    /// How keys are wrapped here.
    pub const ALGORITHM: &str = "RSA-OAEP-256";

    /// Wraps with the newest version of the key of this name. The identity needs the role *Key Vault Crypto Service
    /// Encryption User* (get, wrap, unwrap).
    pub fn new(vault: Vault, key: impl Into<String>) -> Self {
        Self { vault, key: key.into(), newest: Arc::default() }
    }

    async fn newest_version(&self) -> Result<String, KeyVaultFault> {
        let mut newest = self.newest.lock().await;
        let now = self.vault.ambient().now();
        if let Some(known) = &*newest
            && now.duration_since(known.asked_at) < BELIEVED
        {
            return Ok(known.version.clone());
        }
        let (_, version) = self.vault.key(&self.key, None).await?;
        *newest = Some(Newest { version: version.clone(), asked_at: now });
        Ok(version)
    }

    async fn encrypt(&self, plaintext: &[u8], version: &str) -> Result<Vec<u8>, KeyVaultFault> {
        let options = KeyClientWrapKeyOptions {
            key_version: Some(version.to_owned()),
            ..KeyClientWrapKeyOptions::default()
        };
        let answer = async {
            let parameters = parameters(plaintext).try_into()?;
            self.vault.keys()?.wrap_key(&self.key, parameters, Some(options)).await?.into_model()
        };
        self.result(answer).await
    }

    async fn decrypt(&self, wrapped: &[u8], version: &str) -> Result<Zeroizing<Vec<u8>>, KeyVaultFault> {
        let answer = async {
            let parameters = parameters(wrapped).try_into()?;
            self.vault.keys()?.unwrap_key(&self.key, version, parameters, None).await?.into_model()
        };
        self.result(answer).await.map(Zeroizing::new)
    }

    async fn result(
        &self,
        answer: impl Future<Output = azure_core::Result<KeyOperationResult>>,
    ) -> Result<Vec<u8>, KeyVaultFault> {
        let result = self.vault.call(&format!("key `{}` of this version", self.key), answer).await?;
        result.result.ok_or_else(|| KeyVaultFault::Unreadable("there is no result".to_owned()))
    }
}

#[async_trait]
impl KeyVault for AzureKeyVault {
    async fn newest(&self) -> Result<String, VaultError> {
        let version = self.newest_version().await.map_err(told)?;
        Ok(self.vault.key_id(&self.key, &version))
    }

    async fn wrap(&self, key: &DataKey, context: &str) -> Result<WrappedKey, VaultError> {
        let version = self.newest_version().await.map_err(told)?;
        let plaintext = Zeroizing::new([&key.expose()[..], &digest(context)].concat());
        let encrypted = self.encrypt(&plaintext, &version).await.map_err(told)?;
        Ok(WrappedKey {
            wrapped_by: self.vault.key_id(&self.key, &version),
            algorithm: Self::ALGORITHM.to_owned(),
            text: URL_SAFE_NO_PAD.encode(encrypted),
        })
    }

    async fn unwrap(&self, wrapped: &WrappedKey, context: &str) -> Result<DataKey, VaultError> {
        let version = self.vault.version_of(&self.key, &wrapped.wrapped_by).ok_or(VaultError::UnknownKey)?;
        if wrapped.algorithm != Self::ALGORITHM {
            return Err(VaultError::NotSealed);
        }
        let encrypted = URL_SAFE_NO_PAD.decode(&wrapped.text).map_err(|_| VaultError::NotSealed)?;
        let plaintext = self.decrypt(&encrypted, version).await.map_err(told)?;
        let (key, bound) = plaintext.split_at_checked(KEY_BYTES).ok_or(VaultError::NotSealed)?;
        if bound != digest(context) {
            return Err(VaultError::Refused);
        }
        DataKey::from_bytes(key)
    }
}

fn parameters(value: &[u8]) -> KeyOperationParameters {
    KeyOperationParameters {
        algorithm: Some(EncryptionAlgorithm::RsaOaep256),
        value: Some(value.to_vec()),
        ..KeyOperationParameters::default()
    }
}

fn digest(context: &str) -> [u8; 32] {
    sha256(&["coder/v1/data-key", context])
}

/// The caller learns what to do; what happened is in the log.
fn told(fault: KeyVaultFault) -> VaultError {
    tracing::warn!(cause = %fault, "the key vault did not do its part");
    fault.into()
}
