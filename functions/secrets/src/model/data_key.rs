//! Data keys of an organization, wrapped, and which of them encrypts.

use coder_core::Timestamp;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a data key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataKeyState {
    /// Encrypts and decrypts.
    Active,
    /// Decrypts what it encrypted before.
    DecryptOnly,
    /// Gone, and with it whatever it encrypted.
    Destroyed,
}

/// A stored data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataKeyRecord {
    /// The encrypted key; empty once destroyed.
    pub wrapped_key: String,
    /// The key, with its version, that wraps it.
    pub key_encryption_key_id: String,
    /// How it is wrapped.
    pub wrap_algorithm: String,
    /// What it is for.
    pub state: DataKeyState,
    /// How often it encrypted.
    pub encryptions: i64,
    /// When it became active.
    pub activated_at: Timestamp,
}

impl Entity for DataKeyRecord {
    const TYPE: &'static str = "dataKey";
    const SECRET: &'static [&'static str] = &["wrappedKey"];
}

/// Names the one active data key of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRing {
    /// The data key.
    pub active_key_id: String,
}

impl KeyRing {
    /// The id of the one document in each organization.
    pub const ID: &str = "key-ring";
}

impl Entity for KeyRing {
    const TYPE: &'static str = "keyRing";
}
