//! The master key, and the keys derived from it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coder_core::Ambient;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

use crate::sealer::Sealer;
use crate::{VaultError, Zeroizing, certain};

/// Stands before every purpose, so that a later scheme can derive other keys from the same master key.
const SCHEME: &[u8] = b"coder/v1/";

/// The 32 bytes that every other key hangs on. Clones share them; they are overwritten with the last clone.
#[derive(Clone)]
pub struct MasterKey(Arc<SecretBox<[u8; 32]>>);

impl MasterKey {
    /// The key made of these bytes. They have to be random: a passphrase is no key.
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(Arc::new(SecretBox::init_with(|| *bytes)))
    }

    /// Reads the key from base64 of 32 bytes.
    pub fn from_base64(text: &SecretString) -> Result<Self, VaultError> {
        let bytes =
            Zeroizing::new(STANDARD.decode(text.expose_secret().trim()).map_err(|_| VaultError::NotAKey)?);
        <[u8; 32]>::try_from(bytes.as_slice()).map(Self::new).map_err(|_| VaultError::NotAKey)
    }

    /// A new key.
    pub fn generate(ambient: &Ambient) -> Self {
        Self::new(ambient.random())
    }

    /// The key as base64, to be kept in a file that only its owner can read.
    pub fn to_base64(&self) -> SecretString {
        STANDARD.encode(self.0.expose_secret()).into()
    }

    /// The key for one purpose, by HKDF-SHA256 (RFC 5869). One purpose's key tells nothing of another's.
    pub fn derive(&self, purpose: &'static str) -> Zeroizing<[u8; 32]> {
        let root = Salt::new(HKDF_SHA256, &[]).extract(self.0.expose_secret());
        let info = [SCHEME, purpose.as_bytes()];
        let mut key = Zeroizing::new([0; 32]);
        certain(certain(root.expand(&info, HKDF_SHA256)).fill(key.as_mut()));
        key
    }

    /// A sealer under the key for one purpose.
    pub fn sealer(&self, purpose: &'static str, ambient: Ambient) -> Sealer {
        Sealer::new(&self.derive(purpose), ambient)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MasterKey")
    }
}

#[cfg(test)]
mod tests {
    use super::MasterKey;
    use crate::VaultError;

    #[test]
    fn purposes_have_keys_of_their_own() {
        let master = MasterKey::new([7; 32]);
        assert_eq!(master.derive("cursors"), MasterKey::new([7; 32]).derive("cursors"));
        assert_ne!(master.derive("cursors"), master.derive("tokens"));
        assert_ne!(master.derive("cursors"), MasterKey::new([8; 32]).derive("cursors"));
    }

    #[test]
    fn derivation_is_hkdf_as_others_compute_it() {
        // Python: HKDF(SHA256(), 32, salt=None, info=b"coder/v1/test").derive(bytes(range(32)))
        let bytes: Vec<u8> = (0..32).collect();
        let key = MasterKey::new(bytes.try_into().unwrap()).derive("test");
        let expected = [
            0x6d, 0xcc, 0x02, 0x75, 0x5a, 0x46, 0x3b, 0xdb, 0xfa, 0x2a, 0xdf, 0x65, 0x1f, 0x6d, 0x38, 0x7e,
            0xf2, 0xce, 0x0a, 0x38, 0xe9, 0x45, 0xd4, 0x8a, 0x65, 0xdc, 0x57, 0xde, 0x6f, 0x7d, 0x27, 0x73,
        ];
        assert_eq!(*key, expected);
    }

    #[test]
    fn reads_base64_of_exactly_32_bytes() {
        let master = MasterKey::new([9; 32]);
        let again = MasterKey::from_base64(&master.to_base64()).unwrap();
        assert_eq!(again.derive("x"), master.derive("x"));
        for wrong in ["", "short", "AAAA", "not base64 at all!", &"A".repeat(44)] {
            assert_eq!(MasterKey::from_base64(&wrong.into()).unwrap_err(), VaultError::NotAKey, "{wrong}");
        }
    }

    #[test]
    fn does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", MasterKey::new([65; 32])), "MasterKey");
    }
}
