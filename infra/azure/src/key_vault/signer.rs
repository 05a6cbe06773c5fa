//! Signatures by a key that never leaves the vault.

use aws_lc_rs::digest::{SHA256, digest};
use azure_security_keyvault_keys::models::{
    JsonWebKey, KeyClientSignOptions, SignParameters, SignatureAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Timestamp;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{KeyVaultFault, Vault};

/// How long it is believed which version is the newest.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);

/// The public half of one version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in tokens and key sets: the thumbprint of RFC 7638, which tells nothing of the vault.
    pub kid: String,
    /// Its version in the vault.
    pub version: String,
    /// As a key set shows it: `kty`, `use`, `alg`, `kid`, `n`, `e`.
    pub jwk: Value,
}

/// Signs with an RSA key of the vault, by RS256 (RSASSA-PKCS1-v1_5 with SHA-256). One round trip for a signature.
#[derive(Debug)]
pub struct VaultSigner {
    vault: Vault,
    key: String,
    newest: Mutex<Option<(PublicKey, Timestamp)>>,
}

impl VaultSigner {
    /// Signs with the key of this name. The identity needs the role *Key Vault Crypto User*.
    pub fn new(vault: Vault, key: impl Into<String>) -> Self {
        Self { vault, key: key.into(), newest: Mutex::default() }
    }

    /// The newest version, to sign with. A rotation in the vault shows after five minutes at the latest.
    pub async fn public_key(&self) -> Result<PublicKey, KeyVaultFault> {
        let mut newest = self.newest.lock().await;
        let now = self.vault.ambient().now();
        if let Some((known, asked_at)) = &*newest
            && now.duration_since(*asked_at) < BELIEVED
        {
            return Ok(known.clone());
        }
        let key = self.fetch(None).await?;
        *newest = Some((key.clone(), now));
        Ok(key)
    }

    /// A certain version, to publish while its signatures still count.
    pub async fn public_key_of(&self, version: &str) -> Result<PublicKey, KeyVaultFault> {
        self.fetch(Some(version)).await
    }

    /// Signs a message, of which only the digest goes to the vault. The version is pinned, so that the signature
    /// fits the `kid` that the message names.
    pub async fn sign(&self, key: &PublicKey, message: &[u8]) -> Result<Vec<u8>, KeyVaultFault> {
        let options = KeyClientSignOptions {
            key_version: Some(key.version.clone()),
            ..KeyClientSignOptions::default()
        };
        let parameters = SignParameters {
            algorithm: Some(SignatureAlgorithm::Rs256),
            value: Some(digest(&SHA256, message).as_ref().to_vec()),
        };
        let answer = async {
            self.vault.keys()?.sign(&self.key, parameters.try_into()?, Some(options)).await?.into_model()
        };
        let signed = self.vault.call(&format!("key `{}` of this version", self.key), answer).await?;
        let by = signed.kid.as_deref().and_then(|kid| self.vault.version_of(&self.key, kid));
        match signed.result {
            Some(signature) if by == Some(key.version.as_str()) => Ok(signature),
            _ => Err(KeyVaultFault::Unreadable("the signature is missing, or by another key".to_owned())),
        }
    }

    async fn fetch(&self, version: Option<&str>) -> Result<PublicKey, KeyVaultFault> {
        let (key, version) = self.vault.key(&self.key, version).await?;
        let parts = key.key.as_ref().and_then(parts);
        let (n, e) = parts.ok_or_else(|| KeyVaultFault::Unreadable("it is no RSA key".to_owned()))?;
        // RFC 7638, 3.2: these members, in this order, without blanks.
        let required = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, required.as_bytes()));
        let jwk = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e});
        Ok(PublicKey { kid, version, jwk })
    }
}

/// Modulus and exponent in base64url, without leading zeros (RFC 7518, 6.3.1).
fn parts(key: &JsonWebKey) -> Option<(String, String)> {
    let encode = |bytes: &Vec<u8>| {
        let first = bytes.iter().position(|byte| *byte != 0)?;
        Some(URL_SAFE_NO_PAD.encode(&bytes[first..]))
    };
    Some((encode(key.n.as_ref()?)?, encode(key.e.as_ref()?)?))
}
