//! Good and bad ID tokens.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{Expected, ExternalIdentity, IdTokenFault, ProviderKeys, verify};
use crate::oidc::metadata::tests::ISSUER;
use crate::token::test_keys::{KEY, OTHER_KEY, sign_rs256};

pub(crate) const NOW: i64 = 1_769_851_800;

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "client", "sub": "248289761001", "nonce": "n-0S6_WzA2Mj", "iat": NOW, "exp": NOW + 300,
        "email": "Ada@Example.com", "email_verified": true, "name": "Ada Lovelace",
    })
}

pub(crate) fn token(claims: &Value) -> String {
    sign_rs256(&KEY, &json!({"alg": "RS256", "kid": KEY.kid}), claims)
}

pub(crate) fn key_set() -> Value {
    let unusable = json!({"kty": "XYZ", "kid": "strange", "alg": "ML-DSA-44", "pub": "AAAA"});
    let encryption = json!({"kty": "RSA", "kid": "for encryption", "use": "enc", "n": "AQAB", "e": "AQAB"});
    json!({"keys": [unusable, encryption, KEY.public_jwk]})
}

fn keys() -> ProviderKeys {
    ProviderKeys::read(key_set().to_string().as_bytes()).unwrap()
}

const EXPECTED: Expected<'static> =
    Expected { issuer: ISSUER, client_id: "client", nonce: "n-0S6_WzA2Mj", allowed_tenant_ids: &[] };

fn verify_at(token: &str, expected: Expected<'_>, second: i64) -> Result<ExternalIdentity, IdTokenFault> {
    verify(token, &keys(), expected, Timestamp::from_second(second).unwrap())
}

fn check(token: &str) -> Result<ExternalIdentity, IdTokenFault> {
    verify_at(token, EXPECTED, NOW)
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    json_patch(&mut claims, changes);
    claims
}

fn json_patch(claims: &mut Value, changes: Value) {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
}

#[test]
fn reads_whom_a_good_token_vouches_for() {
    let identity = check(&token(&claims())).unwrap();
    assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (ISSUER, "248289761001"));
    assert_eq!(identity.email.unwrap().as_str(), "ada@example.com");
    assert!(identity.email_verified);
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
}

#[test]
fn refuses_wrong_claims() {
    for (changes, fault) in [
        (json!({"iss": "https://id.example.com"}), IdTokenFault::Issuer),
        (json!({"iss": format!("{ISSUER}/")}), IdTokenFault::Issuer),
        (json!({"iss": null}), IdTokenFault::Issuer),
        (json!({"aud": "another"}), IdTokenFault::Audience),
        (json!({"aud": []}), IdTokenFault::Audience),
        (json!({"aud": ["another"]}), IdTokenFault::Audience),
        (json!({"aud": null}), IdTokenFault::Audience),
        (json!({"aud": ["client", "another"]}), IdTokenFault::AuthorizedParty),
        (json!({"aud": ["client", "another"], "azp": "another"}), IdTokenFault::AuthorizedParty),
        (json!({"azp": "another"}), IdTokenFault::AuthorizedParty),
        (json!({"azp": 7}), IdTokenFault::AuthorizedParty),
        (json!({"exp": NOW - 60}), IdTokenFault::Expired),
        (json!({"exp": null}), IdTokenFault::Expired),
        (json!({"exp": "soon"}), IdTokenFault::Expired),
        (json!({"iat": NOW + 61}), IdTokenFault::NotYetValid),
        (json!({"nbf": NOW + 61}), IdTokenFault::NotYetValid),
        (json!({"nonce": "n-0S6_WzA2Mk"}), IdTokenFault::Nonce),
        (json!({"nonce": ""}), IdTokenFault::Nonce),
        (json!({"nonce": null}), IdTokenFault::Nonce),
        (json!({"sub": null}), IdTokenFault::Subject),
        (json!({"sub": ""}), IdTokenFault::Subject),
        (json!({"sub": "x".repeat(256)}), IdTokenFault::Subject),
        (json!({"sub": 7}), IdTokenFault::Subject),
    ] {
        assert_eq!(check(&token(&with(changes.clone()))), Err(fault), "{changes}");
    }
}

#[test]
fn accepts_the_forms_that_providers_use() {
    for changes in [
        json!({"aud": ["client"]}),
        json!({"aud": ["other", "client"], "azp": "client"}),
        json!({"azp": "client"}),
        json!({"exp": NOW - 59}),
        json!({"exp": 1_769_852_000.5}),
        json!({"iat": NOW + 60, "nbf": NOW + 60}),
        json!({"email": null, "name": null}),
    ] {
        assert!(check(&token(&with(changes.clone()))).is_ok(), "{changes}");
    }
}

#[test]
fn an_address_is_verified_only_if_the_provider_says_so() {
    for changes in [
        json!({"email_verified": null}),
        json!({"email_verified": false}),
        json!({"email_verified": "true"}),
        json!({"email_verified": 1}),
    ] {
        assert!(!check(&token(&with(changes.clone()))).unwrap().email_verified, "{changes}");
    }
    assert_eq!(check(&token(&with(json!({"email": "nobody"})))).unwrap().email, None);
}

#[test]
fn refuses_other_signatures() {
    let good = token(&claims());
    let (message, _) = good.rsplit_once('.').unwrap();
    let stolen = token(&with(json!({"sub": "another"})));
    let mixed = format!("{message}.{}", stolen.rsplit_once('.').unwrap().1);
    assert_eq!(check(&mixed), Err(IdTokenFault::Signature));
    let foreign = sign_rs256(&OTHER_KEY, &json!({"alg": "RS256", "kid": KEY.kid}), &claims());
    assert_eq!(check(&foreign), Err(IdTokenFault::Signature));
    assert_eq!(check(&format!("{message}.")), Err(IdTokenFault::Signature));
    let strange = sign_rs256(&OTHER_KEY, &json!({"alg": "RS256", "kid": OTHER_KEY.kid}), &claims());
    assert_eq!(check(&strange), Err(IdTokenFault::UnknownKey));
    let encrypting = sign_rs256(&KEY, &json!({"alg": "RS256", "kid": "for encryption"}), &claims());
    assert_eq!(check(&encrypting), Err(IdTokenFault::UnknownKey));
}

#[test]
fn refuses_other_algorithms() {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims()));
    assert!(matches!(check(&unsigned), Err(IdTokenFault::Malformed | IdTokenFault::Algorithm)));
    let modulus = serde_json::to_value(&KEY.public_jwk).unwrap()["n"].as_str().unwrap().to_owned();
    let header = Header { kid: Some(KEY.kid.clone()), ..Header::new(Algorithm::HS256) };
    let symmetric = encode(&header, &claims(), &EncodingKey::from_secret(modulus.as_bytes())).unwrap();
    assert_eq!(check(&symmetric), Err(IdTokenFault::Algorithm));
    let padded = sign_rs256(&KEY, &json!({"alg": "PS256", "kid": KEY.kid}), &claims());
    assert_eq!(check(&padded), Err(IdTokenFault::Algorithm));
    let confused = sign_rs256(&KEY, &json!({"alg": "ES256", "kid": KEY.kid}), &claims());
    assert_eq!(check(&confused), Err(IdTokenFault::UnknownKey));
    let critical =
        sign_rs256(&KEY, &json!({"alg": "RS256", "kid": KEY.kid, "crit": ["b64"], "b64": false}), &claims());
    assert_eq!(check(&critical), Err(IdTokenFault::Algorithm));
    for text in ["", ".", "..", "a.b.c", &"a".repeat(70_000)] {
        assert_eq!(check(text), Err(IdTokenFault::Malformed), "{text}");
    }
}

#[test]
fn a_token_without_a_key_name_takes_the_only_key() {
    let unnamed = sign_rs256(&KEY, &json!({"alg": "RS256"}), &claims());
    assert!(check(&unnamed).is_ok());
    let two = json!({"keys": [KEY.public_jwk, OTHER_KEY.public_jwk]});
    let two = ProviderKeys::read(two.to_string().as_bytes()).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    assert_eq!(verify(&unnamed, &two, EXPECTED, now), Err(IdTokenFault::UnknownKey));
}

#[test]
fn takes_es256() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "e", "x": part(x), "y": part(y)}]});
    let keys = ProviderKeys::read(keys.to_string().as_bytes()).unwrap();
    let message = format!(
        "{}.{}",
        part(json!({"alg": "ES256", "kid": "e"}).to_string().as_bytes()),
        part(claims().to_string().as_bytes())
    );
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let token = format!("{message}.{}", part(signature.as_ref()));
    let now = Timestamp::from_second(NOW).unwrap();
    assert_eq!(verify(&token, &keys, EXPECTED, now).unwrap().subject, "248289761001");
    let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    assert!(other.public_key().as_der().is_ok());
    let signature = other.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let forged = format!("{message}.{}", part(signature.as_ref()));
    assert_eq!(verify(&forged, &keys, EXPECTED, now), Err(IdTokenFault::Signature));
}

#[test]
fn entra_id_needs_an_allowed_tenant_and_names_people_by_object() {
    let allowed = vec!["tenant-a".to_owned(), "tenant-b".to_owned()];
    let issuer = "https://login.microsoftonline.com/tenant-a/v2.0";
    let entra = Expected { issuer, allowed_tenant_ids: &allowed, ..EXPECTED };
    let changed = |changes: Value| {
        let mut claims = with(json!({"iss": issuer, "tid": "tenant-a", "oid": "object-1"}));
        json_patch(&mut claims, changes);
        token(&claims)
    };
    assert_eq!(verify_at(&changed(json!({})), entra, NOW).unwrap().subject, "tenant-a/object-1");
    for (changes, fault) in [
        (json!({"tid": "tenant-c"}), IdTokenFault::Tenant),
        (json!({"tid": "TENANT-A"}), IdTokenFault::Tenant),
        (json!({"tid": null}), IdTokenFault::Tenant),
        (json!({"oid": null}), IdTokenFault::Subject),
        (json!({"oid": ""}), IdTokenFault::Subject),
    ] {
        assert_eq!(verify_at(&changed(changes.clone()), entra, NOW), Err(fault), "{changes}");
    }
    let careless = Expected { allowed_tenant_ids: &[], ..entra };
    assert_eq!(verify_at(&changed(json!({})), careless, NOW), Err(IdTokenFault::Tenant));
}

#[test]
fn a_key_set_that_is_none_is_refused() {
    for body in ["", "[]", "{}", r#"{"keys": 7}"#, "<html>"] {
        assert!(ProviderKeys::read(body.as_bytes()).is_none(), "{body}");
    }
    assert!(ProviderKeys::read(br#"{"keys": []}"#).is_some());
}
