//! Tokens that must not pass.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_testkit::{Client, TestPlatform};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// A key pair that the platform has never seen.
const STRANGERS_KEY: &[u8] = include_bytes!("strangers-key.der");

/// Forged tokens made from a good one, by the name of the trick.
pub(crate) async fn forged(platform: &TestPlatform, good: &Client) -> Vec<(&'static str, String)> {
    let token = good.token();
    let parts: Vec<&str> = token.split('.').collect();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    let kid = header["kid"].as_str().unwrap().to_owned();
    let keys = platform.nobody().get("/api/auth/.well-known/jwks.json").await.expect(200).body;
    let public = keys["keys"][0]["n"].as_str().unwrap().to_owned();

    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", encode(&json!({"alg": "none", "typ": "at+jwt", "kid": kid})), parts[1]);
    let hs256 = |secret: &[u8]| {
        let header =
            Header { kid: Some(kid.clone()), typ: Some("at+jwt".into()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let strangers = |kid: &str, claims: &Value| {
        let header =
            Header { kid: Some(kid.into()), typ: Some("at+jwt".into()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_der(STRANGERS_KEY)).unwrap()
    };
    let mut other = claims.clone();
    other["sub"] = json!(coder_core::id::EXAMPLE);
    let swapped = format!("{}.{}.{}", parts[0], encode(&other), parts[2]);
    let service = {
        let header = Header { typ: Some("coder-service+jwt".into()), ..Header::new(Algorithm::HS256) };
        let claims =
            json!({"iss": "users", "aud": "auth", "iat": claims["iat"], "exp": claims["exp"], "jti": "x"});
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&[0; 32])).unwrap()
    };
    vec![
        ("alg none", unsigned),
        ("HS256 with the public key", hs256(public.as_bytes())),
        ("HS256 with the decoded public key", hs256(&URL_SAFE_NO_PAD.decode(&public).unwrap())),
        ("a stranger's key under our kid", strangers(&kid, &claims)),
        ("a stranger's kid", strangers("stranger", &claims)),
        ("another subject under an old signature", swapped),
        ("a service token of a stranger", service),
        ("no signature", format!("{}.{}", parts[0], parts[1])),
        ("rubbish", "rubbish".to_owned()),
    ]
}
