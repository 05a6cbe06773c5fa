//! Signing a checkpoint of the audit log, for the `logging` group alone.

use coder_core::{Code, Failure, Result};
use coder_handler::Routes;
use coder_middleware::token::KeySource as _;
use coder_middleware::{Body, Example, FromService, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Auth;
use crate::token::jws::{self, CHECKPOINT_TYPE};

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.post("/internal/checkpoints/sign", "sign_checkpoint", "Sign a checkpoint of the audit log", sign)
}

/// What a checkpoint says. Nothing else is signed here, and the type of the signature is fixed, so that none of
/// them can pass for a token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CheckpointPayload {
    /// Whose chain: an organization, or `platform`.
    #[schemars(length(min = 1, max = 64))]
    organization_id: String,
    /// The first entry.
    #[schemars(range(min = 1))]
    from_seq: u64,
    /// The last entry.
    #[schemars(range(min = 1))]
    to_seq: u64,
    /// The root of the Merkle tree over the entries' hashes, in hexadecimal.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    merkle_root: String,
    /// The hash of the last entry, in hexadecimal.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    head_hash: String,
    /// The checkpoint before.
    #[schemars(length(max = 64))]
    previous_checkpoint_id: Option<String>,
}

impl Example for CheckpointPayload {
    fn example() -> Self {
        Self {
            organization_id: coder_core::id::EXAMPLE.to_string(),
            from_seq: 1,
            to_seq: 128,
            merkle_root: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d".into(),
            head_hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
            previous_checkpoint_id: None,
        }
    }
}

/// A signed checkpoint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedCheckpoint {
    /// The JWS (RFC 7515), compact, with `typ: coder-checkpoint+jws`.
    jws: String,
    /// The name of the key.
    kid: String,
    /// The public half of the key, to be kept: the key set shows a key for some months only.
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    public_jwk: Value,
}

impl Example for SignedCheckpoint {
    fn example() -> Self {
        let kid = "u3gRkhkPzvX3zV1nBb9TzQ".to_owned();
        let public_jwk = json!({"kty": "RSA", "kid": kid, "n": "0vx7ag…", "e": "AQAB"});
        Self { jws: "eyJ0eXAi….eyJvcmdh….c2lnbmF0".into(), kid, public_jwk }
    }
}

async fn sign(
    State(auth): State<Auth>,
    who: FromService,
    Body(payload): Body<CheckpointPayload>,
) -> Result<Json<SignedCheckpoint>> {
    if who.group != "logging" {
        return Err(Failure::problem(Code::Forbidden, "Only the audit log has its checkpoints signed."));
    }
    let signer = auth.keys.signer().await?;
    let jws = jws::compact(&signer, CHECKPOINT_TYPE, &payload).map_err(Failure::internal)?;
    let keys = auth.keys.public_keys().await?;
    let own = keys.iter().find(|key| key.common.key_id.as_deref() == Some(signer.kid()));
    let public_jwk = serde_json::to_value(own).map_err(Failure::internal)?;
    Ok(Json(SignedCheckpoint { jws, kid: signer.kid().to_owned(), public_jwk }))
}
