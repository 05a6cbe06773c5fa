//! Access tokens as forgers make them: parts of a good one, changed, under a signature of some kind.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::case::Forgery;

/// The key that test platforms sign with.
const OURS: &[u8] = include_bytes!("../../infra/testkit/src/signing-key.der");
/// A key pair that no platform has ever seen.
const STRANGERS: &[u8] = include_bytes!("../platform/strangers-key.der");

/// The token that the forgery makes of a good one, at a time in seconds since 1970.
pub(crate) fn forge(forgery: &Forgery, good: &str, now: i64) -> String {
    let [header, claims, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let header = changed(header, &forgery.header, now);
    let claims = changed(claims, &forgery.claims, now);
    let message = format!("{header}.{claims}");
    let signature = match forgery.sign.as_str() {
        "" | "ours" => rsa(&ours(), &RSA_PKCS1_SHA256, &message),
        "ours, RS512" => rsa(&ours(), &RSA_PKCS1_SHA512, &message),
        "ours, PS256" => rsa(&ours(), &RSA_PSS_SHA256, &message),
        "a stranger's" => rsa(&KeyPair::from_der(STRANGERS).unwrap(), &RSA_PKCS1_SHA256, &message),
        "kept" => signature.to_owned(),
        "none" => String::new(),
        "zeros" => URL_SAFE_NO_PAD.encode([0; 384]),
        "HMAC of the public key's PEM" => mac(public_pem().as_bytes(), &message),
        "HMAC of the public key's DER" => mac(&public_der(), &message),
        "HMAC of the modulus" => {
            mac(ours().public_key().modulus().big_endian_without_leading_zero(), &message)
        }
        "HMAC of the modulus as published" => {
            let modulus = ours().public_key().modulus().big_endian_without_leading_zero().to_vec();
            mac(URL_SAFE_NO_PAD.encode(modulus).as_bytes(), &message)
        }
        "HMAC of nothing" => mac(b"", &message),
        "HMAC of zeros" => mac(&[0; 32], &message),
        other => panic!("there is no signature `{other}`"),
    };
    format!("{message}.{signature}{}", forgery.append)
}

/// A part of a token with members replaced; null takes one away, `now…` is a time.
fn changed(part: &str, changes: &Map<String, Value>, now: i64) -> String {
    if changes.is_empty() {
        return part.to_owned();
    }
    let mut object: Map<String, Value> =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    for (name, value) in changes {
        let time = value.as_str().and_then(|text| text.strip_prefix("now")).map(|by| by.parse().unwrap_or(0));
        match (value, time) {
            (Value::Null, _) => object.remove(name),
            (_, Some(by)) => object.insert(name.clone(), json!(now + by)),
            (value, None) => object.insert(name.clone(), value.clone()),
        };
    }
    URL_SAFE_NO_PAD.encode(Value::Object(object).to_string())
}

fn ours() -> KeyPair {
    KeyPair::from_pkcs8(OURS).unwrap()
}

fn rsa(key: &KeyPair, encoding: &'static dyn RsaEncoding, message: &str) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    URL_SAFE_NO_PAD.encode(signature)
}

fn mac(key: &[u8], message: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()))
}

fn public_der() -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = ours().public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

fn public_pem() -> String {
    let text = STANDARD.encode(public_der());
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// What is signed here with our key is what the platform believes; otherwise every forgery would be refused for the
/// wrong reason.
#[test]
fn our_own_signature_is_that_of_the_platform() {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&json!({"alg": "RS256"})), encode(&json!({"sub": "me"})));
    let good = format!("{message}.{}", rsa(&ours(), &RSA_PKCS1_SHA256, &message));
    assert_eq!(forge(&Forgery { sign: "ours".into(), ..Forgery::default() }, &good, 0), good);
}
