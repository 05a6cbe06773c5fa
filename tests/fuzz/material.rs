//! What a target makes of the engine's bytes: the text that they are, or a seed with changes that they choose. Random
//! bytes alone would hardly ever get past the first character of a token.

use std::path::Path;

/// What is put into texts: what parsers look for.
const WORDS: [&str; 32] = [
    ".",
    "..",
    "*",
    "@",
    "#",
    "/",
    "//",
    ",",
    "-",
    "=",
    "\"",
    "'",
    "\\",
    "\0",
    "\n",
    "\r\n",
    " ",
    "\u{feff}",
    "İ",
    "é",
    "e\u{301}",
    "\u{202e}",
    "0",
    "9",
    "-1",
    "1e999",
    "18446744073709551616",
    "null",
    "{}",
    "[]",
    "%2f",
    "AAAA",
];

/// Changes to a seed, at most.
const CHANGES: usize = 8;

/// The seeds of a target.
#[derive(Debug, Default)]
pub(crate) struct Seeds(Vec<String>);

impl Seeds {
    /// Those in the target's folder, and some that cannot be written down.
    pub(crate) fn of(module: &str, target: &str, more: &[String]) -> Self {
        let module = module.rsplit("::").next().unwrap();
        let folder = format!("fuzz/__fuzz__/{module}__{target}/corpus");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(&folder);
        let files = files.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        let mut seeds: Vec<String> = paths
            .iter()
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
            .collect();
        seeds.extend_from_slice(more);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        Self(seeds)
    }
}

/// One input.
#[derive(Debug)]
pub(crate) struct Material<'a> {
    /// The text.
    pub(crate) text: String,
    /// Further bytes, for whatever else the target chooses.
    rest: &'a [u8],
}

impl<'a> Material<'a> {
    /// A seed with changes if the first byte is no ASCII; otherwise the text itself, so that a file with a seed is that
    /// seed.
    pub(crate) fn new(input: &'a [u8], seeds: &Seeds) -> Self {
        match input {
            [first, seed, changes @ ..] if !first.is_ascii() => {
                let mut text: Vec<char> = seeds.0[usize::from(*seed) % seeds.0.len()].chars().collect();
                let count = usize::from(first & 0x7f) % (CHANGES + 1);
                for change in changes.chunks_exact(4).take(count) {
                    apply(&mut text, [change[0], change[1], change[2], change[3]]);
                }
                Self { text: text.into_iter().collect(), rest: changes }
            }
            _ => Self { text: String::from_utf8_lossy(input).into_owned(), rest: input },
        }
    }

    /// A number below the bound.
    pub(crate) fn choose(&self, which: usize, below: usize) -> usize {
        let byte = self.rest.len().checked_sub(1 + which).map_or(0, |at| self.rest[at]);
        usize::from(byte) % below.max(1)
    }

    /// The text in two, at the first of these.
    pub(crate) fn halves(&self, between: char) -> (&str, &str) {
        self.text.split_once(between).unwrap_or((&self.text, ""))
    }
}

fn apply(text: &mut Vec<char>, [what, high, low, with]: [u8; 4]) {
    let place = usize::from(u16::from_be_bytes([high, low])) % (text.len() + 1);
    let word = WORDS[usize::from(with) % WORDS.len()];
    let end = (place + 1 + usize::from(with) % 8).min(text.len());
    match what % 7 {
        0 if place < text.len() => text[place] = char::from(with),
        1 => drop(text.splice(place..place, word.chars())),
        2 => drop(text.drain(place..end)),
        3 => {
            let again = text[place..end].to_vec();
            drop(text.splice(place..place, again));
        }
        4 => text.truncate(place),
        5 if place + 1 < text.len() => text.swap(place, place + 1),
        _ if place < text.len() => {
            let turned = text[place];
            text[place] = if turned.is_ascii_uppercase() {
                turned.to_ascii_lowercase()
            } else {
                turned.to_ascii_uppercase()
            };
        }
        _ => {}
    }
}
