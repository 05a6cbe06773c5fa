//! What login providers say that strangers have named: their configuration, their keys, and whom they vouch for.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_auth::oidc::{Expected, ProviderKeys, ProviderMetadata, verify};
use coder_core::Timestamp;
use serde_json::{Value, json};

use crate::target;

const ISSUER: &str = "https://id.example.com/tenant";

target! {
    /// A provider speaks for itself alone, and sends nobody to an address that others can read along.
    configurations(material) {
        let (issuer, body) = material.halves('\n');
        if let Ok(read) = ProviderMetadata::read(body.as_bytes(), issuer) {
            let value: Value = serde_json::from_str(body).unwrap();
            assert_eq!((value["issuer"].as_str(), read.issuer.as_str()), (Some(issuer), issuer));
            let (scheme, host) = (read.authorization_endpoint.scheme(), read.authorization_endpoint.host_str());
            let here = host.is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."));
            assert!(scheme == "https" || scheme == "http" && here, "{}", read.authorization_endpoint);
            assert!(read.check_response_issuer(Some(issuer)).is_ok());
            assert!(read.check_response_issuer(Some(&format!("{issuer}/"))).is_err());
        }
        if let Ok(address) = ProviderMetadata::address(issuer) {
            assert!(address.path().ends_with("/.well-known/openid-configuration"), "{address}");
            assert!(address.query().is_none() && address.fragment().is_none(), "{address}");
        }
    }
}

/// A provider's key pair, its published key set, and a token that it signed.
struct Provider {
    keys: String,
    modulus: String,
    token: String,
}

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let pair = KeyPair::from_pkcs8(include_bytes!("../../infra/testkit/src/signing-key.der")).unwrap();
    let public = pair.public_key();
    let modulus = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
    let exponent = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
    let key =
        json!({"kty": "RSA", "kid": "first", "use": "sig", "alg": "RS256", "n": modulus, "e": exponent});
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims =
        json!({"iss": ISSUER, "aud": "coder", "sub": "248289761001", "nonce": "n", "exp": 1, "iat": 0});
    let message = format!("{}.{}", part(json!({"alg": "RS256", "kid": "first"})), part(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    Provider { keys: json!({"keys": [key]}).to_string(), modulus, token }
});

/// Whether the token vouches for somebody under these keys.
fn vouches(token: &str, keys: &ProviderKeys) -> bool {
    let expected = Expected { issuer: ISSUER, client_id: "coder", nonce: "n", allowed_tenant_ids: &[] };
    verify(token, keys, expected, Timestamp::UNIX_EPOCH).is_ok()
}

target! {
    /// No other set of keys makes a token good than one that has the key which signed it.
    key_sets(material, std::slice::from_ref(&PROVIDER.keys)) {
        let text = &material.text;
        let good = ProviderKeys::read(text.as_bytes()).is_some_and(|keys| vouches(&PROVIDER.token, &keys));
        assert!(good || *text != PROVIDER.keys);
        if good {
            let value: Value = serde_json::from_str(text).unwrap();
            let keys = value["keys"].as_array().unwrap();
            assert!(keys.iter().any(|key| key["n"] == json!(PROVIDER.modulus)), "{text}");
        }
    }
}

target! {
    /// Only the very token that was signed vouches for anybody.
    id_tokens(material, std::slice::from_ref(&PROVIDER.token)) {
        let keys = ProviderKeys::read(PROVIDER.keys.as_bytes()).unwrap();
        assert_eq!(vouches(&material.text, &keys), material.text == PROVIDER.token, "{}", material.text);
    }
}
