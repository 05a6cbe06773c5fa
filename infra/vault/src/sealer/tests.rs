use coder_core::{Ambient, Entropy, SystemClock};

use super::Sealer;
use crate::{MasterKey, VaultError};

fn sealer(key: u8) -> Sealer {
    Sealer::new(&[key; 32], Ambient::system())
}

#[test]
fn opens_what_it_sealed() {
    let sealer = sealer(1);
    for plaintext in [&b""[..], b"x", &[0xFF; 10_000]] {
        let text = sealer.seal(plaintext, "here");
        assert!(text.starts_with("v1."));
        assert_eq!(sealer.open(&text, "here").unwrap().as_slice(), plaintext);
    }
}

#[test]
fn refuses_another_context_and_another_key() {
    let text = sealer(1).seal(b"secret", "tenant-1/key-1");
    assert_eq!(sealer(1).open(&text, "tenant-2/key-1").unwrap_err(), VaultError::Refused);
    assert_eq!(sealer(1).open(&text, "").unwrap_err(), VaultError::Refused);
    assert_eq!(sealer(2).open(&text, "tenant-1/key-1").unwrap_err(), VaultError::Refused);
}

#[test]
fn refuses_a_change_of_any_character() {
    let sealer = sealer(1);
    let text = sealer.seal(b"twelve bytes", "here");
    for at in 0..text.len() {
        for replacement in [b'A', b'B', b'_', b'.'] {
            let mut changed = text.clone().into_bytes();
            changed[at] = replacement;
            let changed = String::from_utf8(changed).unwrap();
            assert!(changed == text || sealer.open(&changed, "here").is_err(), "character {at}: {changed}");
        }
        assert!(sealer.open(&text[..at], "here").is_err(), "cut at {at}");
    }
    assert!(sealer.open(&format!("{text}A"), "here").is_err());
}

#[test]
fn refuses_what_no_sealer_wrote() {
    for text in ["", "v1.", "v1.AAAA", "v2.AAAA", "plain text", "v1.!!!!", "v1.AAAAAAAAAAAAAAAA"] {
        let error = sealer(1).open(text, "here").unwrap_err();
        assert!(matches!(error, VaultError::NotSealed | VaultError::Refused), "{text}: {error}");
    }
    assert_eq!(sealer(1).open("v2.AAAA", "here").unwrap_err(), VaultError::NotSealed);
}

#[test]
fn seals_the_same_text_differently_each_time() {
    let sealer = sealer(1);
    assert_ne!(sealer.seal(b"same", "here"), sealer.seal(b"same", "here"));
}

#[test]
fn takes_its_nonce_from_the_injected_source() {
    #[derive(Debug)]
    struct Sevens;
    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }
    let seal = || Sealer::new(&[1; 32], Ambient::new(SystemClock, Sevens)).seal(b"same", "here");
    assert_eq!(seal(), seal());
    assert!(seal().starts_with("v1.BwcHBwcHBwcHBwcH"));
}

#[test]
fn a_purpose_opens_only_its_own() {
    let master = MasterKey::new([3; 32]);
    let text = master.sealer("replay", Ambient::system()).seal(b"answer", "here");
    assert!(master.sealer("replay", Ambient::system()).open(&text, "here").is_ok());
    assert!(master.sealer("other", Ambient::system()).open(&text, "here").is_err());
}

#[test]
fn parts_open_only_together_and_only_in_their_place() {
    let sealer = sealer(1);
    let (one, other) = (sealer.seal_parts(b"first", "here"), sealer.seal_parts(b"other", "here"));
    assert_eq!(sealer.open_parts(&one, "here").unwrap().as_slice(), b"first");
    assert_eq!(sealer.open_parts(&one, "there").unwrap_err(), VaultError::Refused);
    for mixed in [
        super::Ciphertext { ciphertext: other.ciphertext.clone(), ..one.clone() },
        super::Ciphertext { nonce: other.nonce.clone(), ..one.clone() },
        super::Ciphertext { tag: other.tag.clone(), ..one.clone() },
        super::Ciphertext { tag: String::new(), ..one.clone() },
    ] {
        assert_eq!(sealer.open_parts(&mixed, "here").unwrap_err(), VaultError::Refused);
    }
    for broken in [
        super::Ciphertext { nonce: String::new(), ..one.clone() },
        super::Ciphertext { ciphertext: "!".to_owned(), ..one },
    ] {
        assert_eq!(sealer.open_parts(&broken, "here").unwrap_err(), VaultError::NotSealed);
    }
}
