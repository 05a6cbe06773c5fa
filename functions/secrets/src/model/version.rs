//! A version of a secret: the encrypted value and what is known of it.

use coder_core::Timestamp;
use coder_database::Entity;
use coder_vault::Ciphertext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretId;

/// Whether a version's value can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// It can.
    Enabled,
    /// It cannot at present.
    Disabled,
    /// It never can again.
    Destroyed,
}

/// What brought a version about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Somebody set a value.
    Manual,
    /// A rotation.
    Rotation,
    /// A former version became current again.
    Rollback,
    /// An import.
    Import,
}

impl Cause {
    /// As events write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Rotation => "rotation",
            Self::Rollback => "rollback",
            Self::Import => "import",
        }
    }
}

/// A stored version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The secret.
    pub secret_id: SecretId,
    /// The number; 1 is the first.
    pub version: u32,
    /// The encrypted value; empty once destroyed.
    pub ciphertext: String,
    /// Its nonce.
    pub nonce: String,
    /// Its authentication tag.
    pub tag: String,
    /// The data key that encrypts it.
    pub data_key_id: String,
    /// Whether it can be read.
    pub state: VersionState,
    /// What brought it about.
    pub cause: Cause,
    /// Why it was made.
    pub reason: Option<String>,
    /// Until when it can be read; for one that a rotation replaced.
    pub grace_until: Option<Timestamp>,
}

impl Entity for Version {
    const TYPE: &'static str = "version";
    const SECRET: &'static [&'static str] = &["ciphertext", "nonce", "tag"];
}

impl Version {
    /// The document's id.
    pub fn document_id(secret_id: &str, version: u32) -> String {
        format!("{secret_id}:{version}")
    }

    /// The encrypted value.
    pub fn sealed(&self) -> Ciphertext {
        Ciphertext { ciphertext: self.ciphertext.clone(), nonce: self.nonce.clone(), tag: self.tag.clone() }
    }

    /// The version with another ciphertext of the same value.
    pub fn resealed(&self, sealed: Ciphertext, data_key_id: String) -> Self {
        let Ciphertext { ciphertext, nonce, tag } = sealed;
        Self { ciphertext, nonce, tag, data_key_id, ..self.clone() }
    }

    /// The version without its value.
    pub fn destroyed(&self) -> Self {
        Self {
            ciphertext: String::new(),
            nonce: String::new(),
            tag: String::new(),
            state: VersionState::Destroyed,
            grace_until: None,
            ..self.clone()
        }
    }
}

/// A version as it is shown: nothing of the value.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    /// The secret.
    pub secret_id: SecretId,
    /// The number.
    pub version: u32,
    /// Whether it can be read.
    pub state: VersionState,
    /// What brought it about.
    pub cause: Cause,
    /// Why it was made.
    pub reason: Option<String>,
    /// Until when it can be read; for one that a rotation replaced.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub grace_until: Option<Timestamp>,
    /// The data key that encrypts it.
    pub data_key_id: String,
    /// When it was made.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Changes at every write.
    pub etag: String,
}

impl From<&coder_database::Record<Version>> for VersionView {
    fn from(record: &coder_database::Record<Version>) -> Self {
        let (meta, data) = (record.meta.clone(), record.data.clone());
        Self {
            secret_id: data.secret_id,
            version: data.version,
            state: data.state,
            cause: data.cause,
            reason: data.reason,
            grace_until: data.grace_until,
            data_key_id: data.data_key_id,
            created_at: meta.created_at,
            created_by: meta.created_by,
            etag: meta.etag,
        }
    }
}

impl coder_middleware::Example for VersionView {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            secret_id: id.into(),
            version: 2,
            state: VersionState::Enabled,
            cause: Cause::Manual,
            reason: Some("The old key leaked".to_owned()),
            grace_until: None,
            data_key_id: id.to_string(),
            created_at: Timestamp::UNIX_EPOCH,
            created_by: id.to_string(),
            etag: "5f0c1d2e3a4b5c6d".to_owned(),
        }
    }
}
