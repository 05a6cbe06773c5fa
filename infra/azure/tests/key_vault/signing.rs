//! Signatures by the vault, checked by libraries that have nothing to do with it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_azure::key_vault::{KeyVaultFault, VaultSigner};
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::ambient;
use crate::doubles::key_vault::{Double, modulus};
use crate::doubles::redis::missing;

/// A token as the platform makes them.
async fn token(signer: &VaultSigner, claims: &Value) -> (String, Value) {
    let key = signer.public_key().await.unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"typ": "at+jwt", "alg": "RS256", "kid": key.kid});
    let input = format!("{}.{}", part(&header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(&key, input.as_bytes()).await.unwrap());
    (format!("{input}.{signature}"), json!({"keys": [key.jwk]}))
}

#[tokio::test]
async fn the_public_half_is_what_the_vault_shows() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.rotate("jwt");
    let key = VaultSigner::new(vault, "jwt").public_key().await.unwrap();
    assert_eq!(key.version, format!("{:032x}", 0));
    let n = URL_SAFE_NO_PAD.encode(modulus(0));
    let expected = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid, "n": n, "e": "AQAB"});
    assert_eq!(key.jwk, expected);
    assert_eq!(key.kid.len(), 43);
}

#[tokio::test]
async fn after_a_rotation_both_versions_can_be_published() {
    let (ambient, clock) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.rotate("jwt");
    let signer = VaultSigner::new(vault, "jwt");
    let old = signer.public_key().await.unwrap();
    double.rotate("jwt");
    assert_eq!(signer.public_key().await.unwrap(), old);
    clock.advance(SignedDuration::from_mins(5));
    let new = signer.public_key().await.unwrap();
    assert_ne!((&new.kid, &new.version), (&old.kid, &old.version));
    assert_eq!(signer.public_key_of(&old.version).await.unwrap(), old);
    // What was begun with the old one is finished with it.
    assert_ne!(signer.sign(&old, b"text").await.unwrap(), signer.sign(&new, b"text").await.unwrap());
}

#[tokio::test]
async fn no_key_no_signature() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    let signer = VaultSigner::new(vault, "jwt");
    assert_eq!(signer.public_key().await.unwrap_err(), KeyVaultFault::Missing("key `jwt`".to_owned()));
    double.rotate("jwt");
    let key = signer.public_key().await.unwrap();
    double.fail(4, StatusCode::SERVICE_UNAVAILABLE, "Later");
    assert!(matches!(signer.sign(&key, b"text").await, Err(KeyVaultFault::Unreachable(_))));
}

/// `PyJWT` on what the vault signed.
#[tokio::test]
async fn another_library_believes_the_token_and_not_a_changed_one() {
    let has_library = Command::new("python3").args(["-c", "import jwt, cryptography"]).output();
    if !has_library.is_ok_and(|output| output.status.success()) {
        return missing("python3 with PyJWT", "python3-jwt");
    }
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.rotate("jwt");
    let signer = VaultSigner::new(vault, "jwt");
    let claims =
        json!({"iss": "https://coder.test", "aud": "coder", "sub": "user-1", "exp": 4_000_000_000_u32});
    let (good, keys) = token(&signer, &claims).await;
    assert_eq!(verify(&good, &keys), Ok(claims));

    let (mut head, signature) = good.rsplit_once('.').map(|(head, tail)| (head.to_owned(), tail)).unwrap();
    head.truncate(head.find('.').unwrap() + 1);
    let other = URL_SAFE_NO_PAD
        .encode(r#"{"iss":"https://coder.test","aud":"coder","sub":"user-2","exp":4000000000}"#);
    let changed = verify(&format!("{head}{other}.{signature}"), &keys);
    assert_eq!(changed, Err("InvalidSignatureError".to_owned()));
}

/// The claims, or the name of the fault.
fn verify(token: &str, keys: &Value) -> Result<Value, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verify_jwt.py");
    let mut command = Command::new("python3");
    let mut process = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let question = json!({"token": token, "keys": keys, "issuer": "https://coder.test", "audience": "coder"});
    process.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    match answer["fault"].as_str() {
        Some(fault) => Err(fault.to_owned()),
        None => Ok(answer["claims"].clone()),
    }
}
