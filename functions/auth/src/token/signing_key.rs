//! RSA keys of 3,072 bits: made, named and used.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use coder_core::Timestamp;
use coder_vault::{Sealer, VaultError};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::model::{KeyState, SigningKey};

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The cryptographic library gave up.
    #[error("the RSA operation failed")]
    Operation(#[from] aws_lc_rs::error::Unspecified),
    /// What was stored is no key.
    #[error("the stored signing key is no PKCS #8 RSA key: {0}")]
    Rejected(#[from] aws_lc_rs::error::KeyRejected),
    /// What was stored does not open.
    #[error("the stored signing key does not open: {0}")]
    Sealed(#[from] VaultError),
    /// What was stored is another key than it says.
    #[error("the stored signing key `{0}` is another key")]
    Misnamed(String),
    /// The public half has no key-set form.
    #[error("the public key cannot be written as a JWK")]
    Jwk(#[from] jsonwebtoken::errors::Error),
}

/// A key that was just made.
#[derive(Debug)]
pub struct GeneratedKey {
    /// RFC 7638 thumbprint of the public half.
    pub kid: String,
    pkcs8: SecretSlice<u8>,
    /// The public half as the key set shows it.
    pub public_jwk: Jwk,
}

impl GeneratedKey {
    /// Makes a key. Takes up to a second of a core: call it on a blocking thread and never before listening.
    /// The primes come from the cryptographic library's own generator, which takes no other.
    pub fn generate() -> Result<Self, KeyFault> {
        Self::of(&KeyPair::generate(KeySize::Rsa3072)?)
    }

    /// A key that was made elsewhere (PKCS #8, DER).
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyFault> {
        Self::of(&KeyPair::from_pkcs8(pkcs8)?)
    }

    fn of(pair: &KeyPair) -> Result<Self, KeyFault> {
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        let pkcs8 = der.as_ref().to_vec().into();
        let public_jwk = public_jwk(pair)?;
        let kid = public_jwk.common.key_id.clone().unwrap_or_default();
        Ok(Self { kid, pkcs8, public_jwk })
    }

    /// The document to store, with the private half sealed.
    pub fn document(&self, state: KeyState, sealer: &Sealer, now: Timestamp) -> Result<SigningKey, KeyFault> {
        Ok(SigningKey {
            kid: self.kid.clone(),
            alg: "RS256".to_owned(),
            wrapped_key: sealer.seal(self.pkcs8.expose_secret(), &seal_context(&self.kid)),
            public_jwk: serde_json::to_value(&self.public_jwk).map_err(jsonwebtoken::errors::Error::from)?,
            state,
            published_at: now,
            activated_at: (state == KeyState::Active).then_some(now),
            retired_at: None,
        })
    }

    /// The key, ready to sign.
    pub fn signer(&self) -> Result<KeySigner, KeyFault> {
        KeySigner::from_pkcs8(self.pkcs8.expose_secret())
    }
}

/// Binds a sealed key to its document.
fn seal_context(kid: &str) -> String {
    format!("signing-key/{kid}")
}

/// A private key, ready to sign: parsed once, not for every token.
pub struct KeySigner {
    kid: String,
    pair: KeyPair,
}

impl fmt::Debug for KeySigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeySigner({})", self.kid)
    }
}

impl KeySigner {
    /// Opens a stored key.
    pub fn open(key: &SigningKey, sealer: &Sealer) -> Result<Self, KeyFault> {
        let pkcs8 = sealer.open(&key.wrapped_key, &seal_context(&key.kid))?;
        let signer = Self::from_pkcs8(&pkcs8)?;
        if signer.kid == key.kid { Ok(signer) } else { Err(KeyFault::Misnamed(key.kid.clone())) }
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyFault> {
        let pair = KeyPair::from_pkcs8(pkcs8)?;
        let kid = public_jwk(&pair)?.common.key_id.unwrap_or_default();
        Ok(Self { kid, pair })
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256; about a millisecond.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    }
}

fn public_jwk(pair: &KeyPair) -> Result<Jwk, KeyFault> {
    let public = DecodingKey::from_rsa_der(pair.public_key().as_ref());
    let mut jwk = Jwk::from_decoding_key(&public, Some(Algorithm::RS256))?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use coder_core::{Ambient, Timestamp};
    use coder_vault::Sealer;
    use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
    use secrecy::ExposeSecret as _;

    use super::{KeyFault, KeySigner, seal_context};
    use crate::model::{KeyState, SigningKey};
    use crate::token::test_keys::{KEY, OTHER_KEY};

    #[test]
    fn the_key_set_shows_the_public_half_only() {
        let jwk = serde_json::to_value(&KEY.public_jwk).unwrap();
        let mut names: Vec<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!(
            (&jwk["alg"], &jwk["use"], &jwk["kty"], &jwk["e"]),
            (&"RS256".into(), &"sig".into(), &"RSA".into(), &"AQAB".into())
        );
        assert_eq!(URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap().len() * 8, 3072);
        assert_ne!(KEY.kid, OTHER_KEY.kid);
    }

    #[test]
    fn computes_the_thumbprint_of_rfc_7638() {
        let jwk: Jwk = serde_json::from_value(serde_json::json!({
            "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        })).unwrap();
        assert_eq!(
            jwk.thumbprint(ThumbprintHash::SHA256).unwrap(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    fn sealer(key: u8) -> Sealer {
        Sealer::new(&[key; 32], Ambient::system())
    }

    #[test]
    fn a_stored_key_signs_under_its_own_name() {
        let document = KEY.document(KeyState::Active, &sealer(1), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(document.activated_at, Some(Timestamp::UNIX_EPOCH));
        let signer = KeySigner::open(&document, &sealer(1)).unwrap();
        assert_eq!(signer.kid(), KEY.kid);
        let part = |name: &str| URL_SAFE_NO_PAD.decode(document.public_jwk[name].as_str().unwrap()).unwrap();
        let public = RsaPublicKeyComponents { n: part("n"), e: part("e") };
        let signature = signer.sign(b"message").unwrap();
        assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, b"message", &signature).is_ok());
        assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, b"massage", &signature).is_err());
    }

    #[test]
    fn a_key_opens_under_its_own_name_and_seal_only() {
        let document = KEY.document(KeyState::Next, &sealer(1), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(document.activated_at, None);
        assert!(matches!(KeySigner::open(&document, &sealer(2)), Err(KeyFault::Sealed(_))));
        let renamed = SigningKey { kid: OTHER_KEY.kid.clone(), ..document.clone() };
        assert!(matches!(KeySigner::open(&renamed, &sealer(1)), Err(KeyFault::Sealed(_))));
        let foreign = sealer(1).seal(KEY.pkcs8.expose_secret(), &seal_context(&OTHER_KEY.kid));
        let swapped = SigningKey { wrapped_key: foreign, ..renamed };
        assert!(matches!(KeySigner::open(&swapped, &sealer(1)), Err(KeyFault::Misnamed(_))));
        let broken = sealer(1).seal(b"no key", &seal_context(&document.kid));
        let broken = SigningKey { wrapped_key: broken, ..document };
        assert!(matches!(KeySigner::open(&broken, &sealer(1)), Err(KeyFault::Rejected(_))));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let printed = format!("{:?} {:?}", *KEY, KEY.signer().unwrap());
        assert!(
            printed.contains("REDACTED") && printed.ends_with(&format!("KeySigner({})", KEY.kid)),
            "{printed}"
        );
    }
}
