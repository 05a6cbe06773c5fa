//! Signed checkpoints, and the keys that signed them.

use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A signed statement of what the chain was; never removed. It covers at most 10,000 entries of one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The first entry.
    pub from_seq: u64,
    /// The last entry.
    pub to_seq: u64,
    /// Root of the Merkle tree (RFC 6962) whose leaves are the entries' hashes, in hexadecimal.
    pub merkle_root: String,
    /// The hash of the last entry.
    pub head_hash: String,
    /// The checkpoint before.
    pub previous_checkpoint_id: Option<String>,
    /// The statement as a JWS (RFC 7515), RS256, with `typ: coder-checkpoint+jws`.
    pub signature: String,
    /// The name of the key that signed, as `/api/auth/.well-known/jwks.json` shows it.
    pub kid: String,
}

impl Entity for Checkpoint {
    const TYPE: &'static str = "checkpoint";
}

impl Example for Checkpoint {
    fn example() -> Self {
        let hash = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d".to_owned();
        Self {
            from_seq: 1,
            to_seq: 128,
            merkle_root: hash.clone(),
            head_hash: hash,
            previous_checkpoint_id: None,
            signature: "eyJ0eXAi….eyJvcmdh….c2lnbmF0".to_owned(),
            kid: "u3gRkhkPzvX3zV1nBb9TzQ".to_owned(),
        }
    }
}

/// A public key that signed a checkpoint, kept because the key set shows it for some months only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The key (RFC 7517).
    pub jwk: Value,
}

impl Entity for PublicKey {
    const TYPE: &'static str = "public-key";
}
