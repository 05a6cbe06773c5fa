//! The signature of a checkpoint (RFC 7515, RS256), checked against a set of public keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize as _;
use serde_json::Value;

/// The only type of signature that counts here.
pub const TYPE: &str = "coder-checkpoint+jws";

/// What a signed checkpoint says, if the signature is a checkpoint's and one of the keys (JWKs) made it.
pub fn payload(jws: &str, keys: &[Value]) -> Option<Value> {
    let (message, signature) = jws.rsplit_once('.')?;
    let (header, payload) = message.split_once('.')?;
    let header = decoded(header)?;
    if header["typ"] != TYPE || header["alg"] != "RS256" {
        return None;
    }
    let key = keys.iter().find(|key| key["kid"] == header["kid"] && key["kid"].is_string())?;
    let key = DecodingKey::from_jwk(&Jwk::deserialize(key).ok()?).ok()?;
    let good = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256);
    if good.unwrap_or(false) { decoded(payload) } else { None }
}

fn decoded(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
