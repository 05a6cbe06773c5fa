//! Keys for tests: two for all of them, because making one is slow.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::GeneratedKey;

pub(crate) static KEY: LazyLock<GeneratedKey> = LazyLock::new(|| GeneratedKey::generate().unwrap());
pub(crate) static OTHER_KEY: LazyLock<GeneratedKey> = LazyLock::new(|| GeneratedKey::generate().unwrap());

/// A JWT with an RS256 signature, whatever the header says.
pub(crate) fn sign_rs256(key: &GeneratedKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = key.signer().unwrap().sign(message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
