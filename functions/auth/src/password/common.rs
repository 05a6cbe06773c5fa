//! The 100,000 most common passwords. `README.md` beside this file says where they come from.

use aws_lc_rs::digest::{SHA256, digest};

/// Bytes of SHA-256 kept for each entry; a chance of 1 in 2,800 million that a good password is refused.
const WIDTH: usize = 6;

/// Sorted, so that a look-up reads 17 entries and nothing is unpacked.
static TABLE: &[u8] = include_bytes!("common.bin");

/// Whether a normalised password is on the list, in whatever case.
pub(super) fn is_common(password: &str) -> bool {
    let hash = digest(&SHA256, password.to_lowercase().as_bytes());
    let wanted = &hash.as_ref()[..WIDTH];
    let (entries, _) = TABLE.as_chunks::<WIDTH>();
    entries.binary_search_by(|entry| entry.as_slice().cmp(wanted)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{TABLE, WIDTH, is_common};

    #[test]
    fn the_table_is_whole_and_sorted() {
        let (entries, rest) = TABLE.as_chunks::<WIDTH>();
        assert_eq!((entries.len(), rest.len()), (100_000, 0));
        assert!(entries.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn knows_common_passwords_in_any_case() {
        for password in [
            "123456",
            "password",
            "qwertyuiop12",
            "PasswordPassword",
            "1qaz2wsx3edc",
            "unbelievable",
            "Password1234",
        ] {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn does_not_know_others() {
        for password in ["", "correct horse battery staple", "tR0ub4dor&3-elsewhere", "pässwörd-mit-umlaut"]
        {
            assert!(!is_common(password), "{password}");
        }
    }
}
