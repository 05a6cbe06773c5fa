//! The form of API keys: `ck_<keyId>_<secret>`. The last six characters of the secret are a checksum, so that
//! scanners and the gateway drop a mistyped key without looking it up.

use std::fmt;

use coder_core::Ambient;
use secrecy::{ExposeSecret as _, SecretString};

use crate::digest::{same, sha256_hex};
use crate::model::ApiKey;

/// What every API key begins with.
pub const PREFIX: &str = "ck_";

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_ID_CHARACTERS: usize = 16;
/// 43 base-62 digits have 256 bits.
const RANDOM_CHARACTERS: usize = 43;
const CHECKSUM_CHARACTERS: usize = 6;
const KEY_CHARACTERS: usize = PREFIX.len() + KEY_ID_CHARACTERS + 1 + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS;

/// A key that was just made: shown once, stored as a hash.
#[derive(Debug)]
pub struct NewApiKey {
    /// The public half.
    pub key_id: String,
    /// What is stored of the secret half.
    pub secret_hash: String,
    /// The whole key.
    pub key: SecretString,
}

/// A key as it came in, well formed: says which document to read, proves nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedApiKey {
    /// The public half.
    pub key_id: String,
    secret_hash: String,
}

impl fmt::Debug for PresentedApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PresentedApiKey({})", self.key_id)
    }
}

impl NewApiKey {
    /// Makes a key.
    pub fn generate(ambient: &Ambient) -> Self {
        let key_id = random_digits(ambient, KEY_ID_CHARACTERS);
        let body = format!("{PREFIX}{key_id}_{}", random_digits(ambient, RANDOM_CHARACTERS));
        let key = format!("{body}{}", checksum(&body));
        let secret_hash = sha256_hex(secret_of(&key).as_bytes());
        Self { key_id, secret_hash, key: key.into() }
    }

    /// The first characters of the key, by which its owner knows it again.
    pub fn hint(&self) -> &str {
        &self.key.expose_secret()[..PREFIX.len() + KEY_ID_CHARACTERS]
    }
}

impl PresentedApiKey {
    /// Reads a key's form, its checksum included.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != KEY_CHARACTERS || !text.is_ascii() {
            return None;
        }
        let (key_id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let (body, sum) = text.split_at(KEY_CHARACTERS - CHECKSUM_CHARACTERS);
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let well_formed = key_id.len() == KEY_ID_CHARACTERS
            && is_digits(key_id)
            && is_digits(secret)
            && checksum(body) == sum;
        well_formed.then(|| Self { key_id: key_id.to_owned(), secret_hash: sha256_hex(secret.as_bytes()) })
    }

    /// Whether this is the secret of the stored key.
    pub fn matches(&self, key: &ApiKey) -> bool {
        same(self.secret_hash.as_bytes(), key.secret_hash.as_bytes())
    }
}

fn secret_of(key: &str) -> &str {
    &key[PREFIX.len() + KEY_ID_CHARACTERS + 1..]
}

/// CRC-32 of all that stands before it, in base 62.
fn checksum(body: &str) -> String {
    let mut sum = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(sum % 62) as usize];
        sum /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

/// Evenly distributed digits: bytes that would make the first ones likelier are thrown away.
fn random_digits(ambient: &Ambient, count: usize) -> String {
    let mut digits = String::with_capacity(count);
    while digits.len() < count {
        let even = ambient.random::<64>().into_iter().filter(|byte| *byte < 248);
        digits.extend(even.take(count - digits.len()).map(|byte| char::from(DIGITS[usize::from(byte % 62)])));
    }
    digits
}

#[cfg(test)]
mod tests {
    use coder_core::Ambient;
    use secrecy::ExposeSecret as _;

    use super::{NewApiKey, PresentedApiKey, checksum};

    #[test]
    fn reads_what_it_makes() {
        let new = NewApiKey::generate(&Ambient::system());
        let key = new.key.expose_secret();
        assert_eq!(key.len(), 69);
        assert_eq!(new.hint(), format!("ck_{}", new.key_id));
        let presented = PresentedApiKey::parse(key).unwrap();
        assert_eq!((presented.key_id, presented.secret_hash), (new.key_id, new.secret_hash));
    }

    #[test]
    fn two_keys_differ_and_none_is_printed() {
        let (one, other) = (NewApiKey::generate(&Ambient::system()), NewApiKey::generate(&Ambient::system()));
        assert_ne!(one.key_id, other.key_id);
        assert_ne!(one.secret_hash, other.secret_hash);
        let presented = PresentedApiKey::parse(one.key.expose_secret()).unwrap();
        assert!(!format!("{one:?} {presented:?}").contains(&one.key.expose_secret()[20..]));
    }

    #[test]
    fn the_checksum_finds_every_changed_character() {
        let key = NewApiKey::generate(&Ambient::system()).key.expose_secret().to_owned();
        for at in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(PresentedApiKey::parse(std::str::from_utf8(&changed).unwrap()), None, "position {at}");
        }
    }

    #[test]
    fn the_checksum_is_crc_32_in_base_62() {
        // CRC-32 of "123456789" is 0xCBF43926 = 3,421,780,262.
        assert_eq!(checksum("123456789"), "3jZRME");
        let value = "3jZRME".bytes().fold(0_u64, |sum, digit| {
            sum * 62 + super::DIGITS.iter().position(|known| *known == digit).unwrap() as u64
        });
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn refuses_other_forms() {
        let key = NewApiKey::generate(&Ambient::system()).key.expose_secret().to_owned();
        for text in [
            "",
            "ck_",
            &key[3..],
            &key[..68],
            &format!("{key}0"),
            &key.replace("ck_", "sk_"),
            &"ä".repeat(34),
            &"_".repeat(69),
        ] {
            assert_eq!(PresentedApiKey::parse(text), None, "{text}");
        }
    }
}
