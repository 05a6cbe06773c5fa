//! Signatures of webhooks: `Coder-Signature: t=<unix>,v1=<hex HMAC-SHA-256(secret, t "." body)>`.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Ambient;

/// The header.
pub(super) const HEADER: &str = "coder-signature";

/// A new signing secret. The text as it is shown is the key.
pub(crate) fn new_secret(ambient: &Ambient) -> String {
    format!("whsec_{}", URL_SAFE_NO_PAD.encode(ambient.random::<32>()))
}

/// The value of the header.
pub(super) fn signature(secret: &[u8], unix_seconds: i64, body: &str) -> String {
    let key = Key::new(HMAC_SHA256, secret);
    let tag = sign(&key, format!("{unix_seconds}.{body}").as_bytes());
    format!("t={unix_seconds},v1={}", data_encoding::HEXLOWER.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn is_what_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
        let expected = "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789";
        assert_eq!(signature(b"whsec_test", 1_700_000_000, "{\"a\":1}"), expected);
        assert_ne!(signature(b"whsec_test", 1_700_000_001, "{\"a\":1}"), expected);
    }
}
