//! Telling another system that a secret is to be rotated: never the value, and signed, so that the receiver knows who
//! asks.

use std::fmt;

use coder_core::{Fault, OrganizationId};
use coder_middleware::Runtime;
use coder_outbound::{OutboundError, SafeHttp};
use coder_vault::Zeroizing;
use serde_json::json;
use url::Url;

/// The header of the signature: HMAC-SHA-256 of the body in hexadecimal, after `sha256=`.
const SIGNATURE: &str = "x-coder-signature";

/// Calls to receivers.
pub struct Webhooks {
    http: Option<SafeHttp>,
    key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Webhooks")
    }
}

/// What a receiver is told.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The secret.
    pub secret_id: &'a str,
    /// The rotation.
    pub rotation_id: &'a str,
    /// The current version.
    pub version: u32,
}

impl Webhooks {
    /// The client that the settings allow.
    pub fn new(runtime: &Runtime) -> Self {
        let http = SafeHttp::new(runtime.settings.outbound_allow_loopback);
        let http =
            http.inspect_err(|error| tracing::error!(cause = %error, "webhooks cannot be called")).ok();
        Self { http, key: runtime.master.derive("secrets-webhook") }
    }

    /// The key that the receiver of a secret's rotations checks signatures with; given out with the value.
    pub fn signing_key(&self, organization_id: OrganizationId, secret_id: &str) -> String {
        let organization = organization_id.to_string();
        coder_core::text::hmac_sha256_hex(&self.key, &[organization.as_bytes(), secret_id.as_bytes()])
    }

    /// Tells the receiver. The error is a code for people that holds nothing of the answer.
    pub async fn call(&self, url: &str, call: Call<'_>) -> Result<(), &'static str> {
        let url = Url::parse(url).map_err(|_| "invalid_url")?;
        let http = self.http.as_ref().ok_or("unavailable")?;
        let Call { organization_id, secret_id, rotation_id, version } = call;
        let body = json!({"secretId": secret_id, "rotationId": rotation_id, "version": version}).to_string();
        let key = self.signing_key(organization_id, secret_id);
        let signature = format!("sha256={}", signature(&key, body.as_bytes()));
        let headers = [("content-type", "application/json".to_owned()), (SIGNATURE, signature)];
        match http.post(&url, &headers, body.into_bytes()).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(_) => Err("refused_by_receiver"),
            Err(OutboundError::Timeout) => Err("timeout"),
            Err(OutboundError::Refused(_)) => Err("address_refused"),
            Err(_) => Err("unreachable"),
        }
    }

    /// What is wrong with an address that somebody typed.
    pub async fn fault(&self, text: &str, pointer: &str) -> Option<Fault> {
        let Ok(url) = Url::parse(text) else {
            return Some(Fault::new(pointer, "invalid_format", "This is no address."));
        };
        let http = self.http.as_ref()?;
        match http.check(&url).await {
            Err(OutboundError::Refused(why)) => {
                Some(Fault::new(pointer, "refused_address", format!("The address is refused: {why}.")))
            }
            // A name that does not resolve now may do so when it matters.
            _ => None,
        }
    }
}

/// HMAC-SHA-256 under the bytes of the key's text.
fn signature(key: &str, body: &[u8]) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes());
    data_encoding::HEXLOWER.encode(aws_lc_rs::hmac::sign(&key, body).as_ref())
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn the_signature_is_what_others_compute() {
        // Python: hmac.new(b"key", b"The quick brown fox jumps over the lazy dog", "sha256").hexdigest()
        assert_eq!(
            signature("key", b"The quick brown fox jumps over the lazy dog"),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
    }
}
