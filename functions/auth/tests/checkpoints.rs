//! Signatures over checkpoints of the audit log.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_testkit::TestPlatform;
use http::Method;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

use crate::support::ada;

fn payload() -> Value {
    json!({
        "organizationId": "platform", "fromSeq": 1, "toSeq": 3, "merkleRoot": "0".repeat(64),
        "headHash": "f".repeat(64), "previousCheckpointId": null,
    })
}

#[tokio::test]
async fn a_checkpoint_is_signed_for_the_audit_log_alone_and_makes_no_token() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let path = "/internal/checkpoints/sign";
    ada.post(&format!("/api/auth{path}"), payload()).await.expect_problem(403, "forbidden");
    let peers = &platform.platform.assembly.peers;
    let ask = async |group: &'static str, body: Value| {
        peers.seen_by(group).call("auth", Method::POST, path, Some(&body)).await.unwrap()
    };
    assert_eq!(ask("users", payload()).await.status, 403);
    let more = json!({"organizationId": "platform", "fromSeq": 1, "sub": "somebody"});
    assert_eq!(ask("logging", more).await.status, 422);

    let signed = ask("logging", payload()).await;
    assert_eq!(signed.status, 200, "{signed:?}");
    let jws = signed.body["jws"].as_str().unwrap();
    let [header, claims, signature]: [&str; 3] = jws.split('.').collect::<Vec<_>>().try_into().unwrap();
    let decoded =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    assert_eq!(decoded(header)["typ"], "coder-checkpoint+jws");
    assert_eq!(decoded(claims), payload());
    let keys = platform.nobody().get("/api/auth/.well-known/jwks.json").await.expect(200).body;
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == signed.body["kid"]).unwrap();
    assert_eq!(*key, signed.body["publicJwk"]);
    let key = DecodingKey::from_jwk(&serde_json::from_value(key.clone()).unwrap()).unwrap();
    let message = format!("{header}.{claims}");
    let verified = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256);
    assert!(verified.unwrap());

    ada.with_token(jws).get("/api/auth/me").await.expect_problem(401, "unauthenticated");
}
