//! Access tokens as others verify them, and forged ones.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_testkit::TestPlatform;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::support::ada;

async fn key_set(platform: &TestPlatform) -> JwkSet {
    let reply = platform.nobody().get("/api/auth/.well-known/jwks.json").await.expect(200);
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    serde_json::from_value(reply.body).unwrap()
}

fn unverified(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn verifies_against_the_published_keys() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let token = ada.token();
    let header = decode_header(&token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("at+jwt")));
    let keys = key_set(&platform).await;
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["coder"]);
    validation.set_issuer(&[format!("{}/api/auth", platform.platform.url())]);
    // The platform has its own clock here.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    let claims = decode::<Value>(&token, &key, &validation).unwrap().claims;
    for claim in ["iss", "aud", "sub", "org", "sid", "roles", "amr", "auth_time", "jti", "iat", "nbf", "exp"]
    {
        assert!(claims.get(claim).is_some(), "{claim} is missing");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!((&claims["amr"], claims.get("enrol")), (&json!(["pwd"]), None));
}

#[tokio::test]
async fn metadata_names_what_exists() {
    let platform = TestPlatform::start().await;
    let reply = platform.nobody().get("/api/auth/.well-known/openid-configuration").await.expect(200);
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    let issuer = format!("{}/api/auth", platform.platform.url());
    assert_eq!(
        (reply.text("/issuer"), reply.text("/jwks_uri")),
        (issuer.clone(), format!("{issuer}/.well-known/jwks.json"))
    );
    assert_eq!(reply.body.get("authorization_endpoint"), None);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let claims = unverified(&ada.token());
    let keys = key_set(&platform).await;
    let jwk = serde_json::to_value(&keys.keys[0]).unwrap();
    let kid = jwk["kid"].as_str().unwrap();

    let none = format!("{}.{}.", part(&json!({"alg": "none", "typ": "at+jwt", "kid": kid})), part(&claims));
    let header =
        Header { typ: Some("at+jwt".into()), kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
    let public = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let symmetric = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&public)).unwrap();
    let text = jsonwebtoken::encode(
        &header,
        &claims,
        &EncodingKey::from_secret(jwk["n"].as_str().unwrap().as_bytes()),
    );
    let foreign_key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let signed = |kid: &str| {
        let message =
            format!("{}.{}", part(&json!({"alg": "RS256", "typ": "at+jwt", "kid": kid})), part(&claims));
        let mut signature = vec![0; foreign_key.public_modulus_len()];
        foreign_key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    for token in [none, symmetric, text.unwrap(), signed("stranger"), signed(kid)] {
        ada.with_token(token.clone()).get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    }
    ada.get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn one_key_signs_after_a_restart() {
    let platform = TestPlatform::start().await;
    let before = key_set(&platform).await;
    let platform = platform.restart().await;
    assert_eq!(key_set(&platform).await, before);
}

#[tokio::test]
async fn of_two_first_keys_one_signs() {
    let platform = TestPlatform::start().await;
    let before = key_set(&platform).await;
    let other = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = aws_lc_rs::encoding::AsDer::as_der(&other).unwrap();
    let auth: coder_auth::Auth = platform.platform.service("auth").unwrap();
    auth.install_signing_key(der.as_ref()).await.unwrap();
    assert_eq!(key_set(&platform).await, before);
    ada(&platform).await.get("/api/auth/me").await.expect(200);
}
