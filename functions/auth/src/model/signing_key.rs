//! A key that signs access tokens, as it is kept.

use coder_core::Timestamp;
use coder_database::{Entity, Partition};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A signing key in the platform's partition; the id is its `kid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// RFC 7638 thumbprint of the public half.
    pub kid: String,
    /// Always `RS256`.
    pub alg: String,
    /// The private half (PKCS #8), sealed by the vault.
    pub wrapped_key: String,
    /// The public half as the key set shows it.
    pub public_jwk: Value,
    /// What the key is used for now.
    pub state: KeyState,
    /// When the key set first showed it.
    pub published_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it ceased to sign.
    pub retired_at: Option<Timestamp>,
}

/// What a key is used for. Every state is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Nothing yet; verifiers learn it.
    Next,
    /// Signs.
    Active,
    /// Only checks what it signed.
    Retiring,
}

impl Entity for SigningKey {
    const TYPE: &'static str = "signing-key";
    const SECRET: &'static [&'static str] = &["wrappedKey"];
}

impl SigningKey {
    /// The platform's partition.
    pub fn partition() -> Partition {
        Partition::platform()
    }
}
