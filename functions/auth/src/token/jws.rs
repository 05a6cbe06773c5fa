//! JSON Web Signatures (RFC 7515) under the platform's key. The header's `typ` says what a signature is for; who
//! verifies one pins it, so that none can pass for another kind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;

use super::signing_key::KeySigner;

/// The type of a signed checkpoint of the audit log.
pub(crate) const CHECKPOINT_TYPE: &str = "coder-checkpoint+jws";

/// The compact serialisation. Written here because the library parses the private key anew for every signature.
pub(crate) fn compact(
    signer: &KeySigner,
    kind: &str,
    payload: &impl Serialize,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let header = json!({"typ": kind, "alg": "RS256", "kid": signer.kid()});
    let mut compact = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
    compact.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(payload)?, &mut compact);
    let signature = signer.sign(compact.as_bytes())?;
    compact.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut compact);
    Ok(compact)
}
