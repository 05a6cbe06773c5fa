//! An authenticator app, as the tests need one.

use aws_lc_rs::hmac;
use coder_testkit::{Client, TestPlatform};
use data_encoding::BASE32_NOPAD;
use jiff::SignedDuration;
use serde_json::json;

/// The code that an app shows now (RFC 6238).
pub(crate) fn code(platform: &TestPlatform, secret: &str) -> String {
    use coder_core::Clock as _;
    let step = u64::try_from(platform.clock.now().as_second() / 30).unwrap();
    let key =
        hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &BASE32_NOPAD.decode(secret.as_bytes()).unwrap());
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Moves on to the next code.
pub(crate) fn next_code(platform: &TestPlatform, secret: &str) -> String {
    platform.clock.advance(SignedDuration::from_secs(30));
    code(platform, secret)
}

/// Sets up an app; answers its secret and the recovery codes.
pub(crate) async fn enrol(platform: &TestPlatform, who: &Client) -> (String, Vec<String>) {
    let secret = who.post("/api/auth/mfa/totp", json!({})).await.expect(201).text("/secret");
    let body = json!({"code": code(platform, &secret)});
    let codes = who.post("/api/auth/mfa/totp/confirm", body).await.expect(200);
    let codes = codes.body["recoveryCodes"].as_array().unwrap().iter();
    (secret, codes.map(|code| code.as_str().unwrap().to_owned()).collect())
}
