//! Authenticated encryption of small texts, as one line that says its version.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Ambient;

use crate::{VaultError, Zeroizing, certain};

/// AES-256-GCM, a random nonce of 96 bits before the ciphertext, base64url.
const VERSION: &str = "v1.";

/// A sealed text in its parts, each in base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// The encrypted bytes.
    pub ciphertext: String,
    /// The nonce of 96 bits.
    pub nonce: String,
    /// The authentication tag of 128 bits.
    pub tag: String,
}

/// Seals and opens under one key. Random nonces allow 2³² seals under a key before a collision is likely enough
/// to matter; where more are to be expected, use data keys.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<LessSafeKey>,
    ambient: Ambient,
}

impl Sealer {
    /// A sealer under a key of its own; see [`crate::MasterKey::sealer`] for the usual way to one.
    pub fn new(key: &[u8; 32], ambient: Ambient) -> Self {
        let key = certain(UnboundKey::new(&AES_256_GCM, key));
        Self { key: Arc::new(LessSafeKey::new(key)), ambient }
    }

    /// Encrypts `plaintext` (at most 64 GiB). It opens only with the same `context`, which says where the text
    /// belongs (tenant, kind, id), so that nobody can move it to another place.
    pub fn seal(&self, plaintext: &[u8], context: &str) -> String {
        let nonce: [u8; NONCE_LEN] = self.ambient.random();
        let mut sealed = Vec::with_capacity(NONCE_LEN + plaintext.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let tag = certain(self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            &mut sealed[NONCE_LEN..],
        ));
        sealed.extend_from_slice(tag.as_ref());
        format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Like [`Sealer::seal`], for documents that keep ciphertext, nonce and tag in fields of their own.
    pub fn seal_parts(&self, plaintext: &[u8], context: &str) -> Ciphertext {
        let nonce: [u8; NONCE_LEN] = self.ambient.random();
        let mut sealed = plaintext.to_vec();
        let tag = certain(self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            &mut sealed,
        ));
        Ciphertext {
            ciphertext: URL_SAFE_NO_PAD.encode(&sealed),
            nonce: URL_SAFE_NO_PAD.encode(nonce),
            tag: URL_SAFE_NO_PAD.encode(tag.as_ref()),
        }
    }

    /// Decrypts what [`Sealer::seal_parts`] gave for this context.
    pub fn open_parts(&self, sealed: &Ciphertext, context: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let decode = |text: &String| URL_SAFE_NO_PAD.decode(text).map_err(|_| VaultError::NotSealed);
        let nonce = <[u8; NONCE_LEN]>::try_from(decode(&sealed.nonce)?).map_err(|_| VaultError::NotSealed)?;
        let mut bytes = Zeroizing::new(decode(&sealed.ciphertext)?);
        bytes.extend(decode(&sealed.tag)?);
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut bytes)
            .map_err(|_| VaultError::Refused)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Decrypts what [`Sealer::seal`] gave for this context.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let body = sealed.strip_prefix(VERSION).ok_or(VaultError::NotSealed)?;
        let mut bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| VaultError::NotSealed)?;
        let (nonce, ciphertext) = bytes.split_first_chunk_mut().ok_or(VaultError::NotSealed)?;
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), ciphertext)
            .map_err(|_| VaultError::Refused)?
            .len();
        // Moved to the front in place: a copy would leave the plaintext behind.
        bytes.copy_within(NONCE_LEN..NONCE_LEN + length, 0);
        let mut plaintext = Zeroizing::new(bytes);
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests;
