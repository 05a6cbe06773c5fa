//! Recovery codes: for when the authenticator app is lost. Each works once.

use coder_core::{Ambient, Timestamp};
use data_encoding::BASE32_NOPAD;
use secrecy::SecretString;

use crate::digest::{same, sha256_hex};
use crate::model::RecoveryCode;

/// Codes of one set.
pub const COUNT: usize = 10;
/// 80 bits: too many to guess, so a fast hash does.
const RANDOM_BYTES: usize = 10;
const GROUP: usize = 8;

/// Makes a set: the codes to show, once, and what is stored of them.
pub fn generate(ambient: &Ambient) -> (Vec<SecretString>, Vec<RecoveryCode>) {
    (0..COUNT)
        .map(|_| {
            let code = BASE32_NOPAD.encode(&ambient.random::<RANDOM_BYTES>());
            let stored = RecoveryCode { hash: sha256_hex(code.as_bytes()), used_at: None };
            let (first, second) = code.split_at(GROUP);
            (format!("{first}-{second}").into(), stored)
        })
        .unzip()
}

/// Uses up the code if it is an unused one of the set; answers whether it was. Looks at all of them, so that
/// the time tells nothing.
pub fn consume(codes: &mut [RecoveryCode], presented: &str, now: Timestamp) -> bool {
    let Some(code) = normalised(presented) else { return false };
    let hash = sha256_hex(code.as_bytes());
    let mut found = None;
    for code in codes {
        if same(code.hash.as_bytes(), hash.as_bytes()) && code.used_at.is_none() {
            found = Some(code);
        }
    }
    if let Some(code) = &mut found {
        code.used_at = Some(now);
    }
    found.is_some()
}

/// How many are left.
pub fn unused(codes: &[RecoveryCode]) -> usize {
    codes.iter().filter(|code| code.used_at.is_none()).count()
}

/// The code without its hyphen, in upper case, with the digits that base 32 lacks read as the letters that they
/// look like.
fn normalised(presented: &str) -> Option<String> {
    if presented.len() > 4 * GROUP {
        return None;
    }
    let letters = presented.chars().filter(|c| !c.is_whitespace() && *c != '-');
    let code: String = letters
        .map(|c| match c.to_ascii_uppercase() {
            '0' => 'O',
            '1' => 'I',
            '8' => 'B',
            other => other,
        })
        .collect();
    (code.len() == 2 * GROUP).then_some(code)
}

#[cfg(test)]
mod tests {
    use coder_core::{Ambient, Timestamp};
    use secrecy::ExposeSecret as _;

    use super::{consume, generate, unused};

    #[test]
    fn makes_ten_different_codes_of_two_groups() {
        let (shown, stored) = generate(&Ambient::system());
        let mut codes: Vec<_> = shown.iter().map(|code| code.expose_secret().to_owned()).collect();
        assert!(codes.iter().all(|code| code.len() == 17 && code.as_bytes()[8] == b'-'));
        codes.sort();
        codes.dedup();
        assert_eq!((codes.len(), stored.len(), unused(&stored)), (10, 10, 10));
        assert!(stored.iter().all(|code| !codes.contains(&code.hash)));
    }

    #[test]
    fn each_works_exactly_once_however_it_is_typed() {
        let (shown, mut stored) = generate(&Ambient::system());
        let now = Timestamp::UNIX_EPOCH;
        let typed = format!(" {} ", shown[3].expose_secret().to_lowercase().replace('-', " "));
        assert!(consume(&mut stored, &typed, now));
        assert_eq!((stored[3].used_at, unused(&stored)), (Some(now), 9));
        assert!(!consume(&mut stored, shown[3].expose_secret(), now));
        let misread = shown[4].expose_secret().replace('O', "0").replace('I', "1").replace('B', "8");
        assert!(consume(&mut stored, &misread, now));
        assert_eq!(unused(&stored), 8);
    }

    #[test]
    fn refuses_other_codes() {
        let (_, mut stored) = generate(&Ambient::system());
        for code in ["", "-", "AAAAAAAA-AAAAAAAA", "AAAAAAAA", &"A".repeat(100_000), "ÄÄÄÄÄÄÄÄ"] {
            assert!(!consume(&mut stored, code, Timestamp::UNIX_EPOCH), "{code}");
        }
        assert!(!consume(&mut [], "AAAAAAAA-AAAAAAAA", Timestamp::UNIX_EPOCH));
        assert_eq!(unused(&stored), 10);
    }
}
