//! Sealed page cursors: opaque and signed, and good only for the query that made them.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of the signature kept; 128 bits.
const TAG: usize = 16;

/// The longest cursor that is looked at, in characters.
pub const MAX_CHARACTERS: usize = 4096;

/// Seals and opens cursors with one key.
#[derive(Clone)]
pub struct CursorSealer(hmac::Key);

impl std::fmt::Debug for CursorSealer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("CursorSealer")
    }
}

impl CursorSealer {
    /// A sealer with a key of the platform.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Seals a provider's position for the query that `fingerprint` names (tenant, operation, filter, order).
    pub fn seal(&self, position: &str, fingerprint: &str) -> String {
        let mut sealed = self.tag(position.as_bytes(), fingerprint)[..TAG].to_vec();
        sealed.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The position inside a cursor, if the cursor was made here for this very query.
    pub fn open(&self, cursor: &str, fingerprint: &str) -> Option<String> {
        if cursor.len() > MAX_CHARACTERS {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, position) = sealed.split_at_checked(TAG)?;
        let expected = self.tag(position, fingerprint);
        let same: bool = subtle::ConstantTimeEq::ct_eq(&expected[..TAG], tag).into();
        if same { String::from_utf8(position.to_vec()).ok() } else { None }
    }

    fn tag(&self, position: &[u8], fingerprint: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&(fingerprint.len() as u64).to_be_bytes());
        context.update(fingerprint.as_bytes());
        context.update(position);
        context.sign().as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::CursorSealer;

    #[test]
    fn opens_only_unchanged_cursors_of_the_same_query() {
        let sealer = CursorSealer::new(&[7; 32]);
        let cursor = sealer.seal("position", "query");
        assert_eq!(sealer.open(&cursor, "query").as_deref(), Some("position"));
        assert_eq!(sealer.open(&cursor, "another query"), None);
        assert_eq!(CursorSealer::new(&[8; 32]).open(&cursor, "query"), None);
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(changed == cursor || sealer.open(&changed, "query").is_none(), "position {at}");
        }
        assert_eq!(sealer.open("", "query"), None);
        assert_eq!(sealer.open("!!!", "query"), None);
    }
}
