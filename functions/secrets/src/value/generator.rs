//! Random values. Each character is equally likely: what of a random byte would favour some is thrown away.

use coder_core::Ambient;
use coder_vault::Zeroizing;

use crate::model::{Alphabet, Generator};

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ALNUM_SYMBOLS: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~";
const HEX: &[u8] = b"0123456789abcdef";
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn characters(alphabet: Alphabet) -> &'static [u8] {
    match alphabet {
        Alphabet::Alnum => ALNUM,
        Alphabet::AlnumSymbols => ALNUM_SYMBOLS,
        Alphabet::Hex => HEX,
        Alphabet::Base64url => BASE64URL,
    }
}

/// A new value.
pub fn generate(generator: Generator, ambient: &Ambient) -> Zeroizing<String> {
    let length = usize::from(generator.length);
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        let bytes = Zeroizing::new(ambient.random::<64>());
        let chosen = bytes.iter().filter_map(|byte| choose(characters(generator.alphabet), *byte));
        let missing = length - text.len();
        text.extend(chosen.take(missing));
    }
    text
}

/// The character that a random byte stands for, if it stands for one.
fn choose(characters: &[u8], byte: u8) -> Option<char> {
    let fair = 256 - 256 % characters.len();
    let byte = usize::from(byte);
    (byte < fair).then(|| char::from(characters[byte % characters.len()]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coder_core::Ambient;

    use super::*;

    const ALL: [Alphabet; 4] = [Alphabet::Alnum, Alphabet::AlnumSymbols, Alphabet::Hex, Alphabet::Base64url];

    #[test]
    fn every_character_stands_for_equally_many_bytes() {
        for alphabet in ALL {
            let characters = characters(alphabet);
            let mut counts: BTreeMap<char, u32> = BTreeMap::new();
            for byte in 0..=u8::MAX {
                if let Some(one) = choose(characters, byte) {
                    *counts.entry(one).or_default() += 1;
                }
            }
            let each = u32::try_from(256 / characters.len()).unwrap();
            assert_eq!(counts.len(), characters.len(), "{alphabet:?} has a character twice");
            assert!(counts.values().all(|count| *count == each), "{alphabet:?}: {counts:?}");
        }
    }

    #[test]
    fn values_have_their_length_and_alphabet_and_differ() {
        let ambient = Ambient::system();
        for alphabet in ALL {
            for length in [16, 33, 256] {
                let generator = Generator { length, alphabet };
                let (one, other) = (generate(generator, &ambient), generate(generator, &ambient));
                assert_eq!(one.len(), usize::from(length));
                assert!(one.bytes().all(|byte| characters(alphabet).contains(&byte)));
                assert_ne!(one, other);
            }
        }
    }
}
