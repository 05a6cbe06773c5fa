//! Text that people type: hashing it for claims, and the characters that are refused.

use aws_lc_rs::digest;

/// SHA-256 of the parts in lower-case hexadecimal.
pub fn sha256_hex<T: AsRef<[u8]>>(parts: &[T]) -> String {
    data_encoding::HEXLOWER.encode(&sha256(parts))
}

/// SHA-256 of the parts, each preceded by its length so that no two lists collide.
pub fn sha256<T: AsRef<[u8]>>(parts: &[T]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.as_ref().len() as u64).to_be_bytes());
        context.update(part.as_ref());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Whether the text has a control character (line breaks and tabs allowed if `multiline`) or a bidirectional
/// override, which can make a name look like another.
pub fn has_refused_characters(text: &str, multiline: bool) -> bool {
    text.chars().any(|c| {
        let control = c.is_control() && !(multiline && matches!(c, '\n' | '\r' | '\t'));
        control || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
    })
}

/// HMAC-SHA-256 over the parts, each preceded by its length, in lower-case hexadecimal.
pub fn hmac_sha256_hex(key: &[u8; 32], parts: &[&[u8]]) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let mut context = aws_lc_rs::hmac::Context::with_key(&key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    data_encoding::HEXLOWER.encode(context.sign().as_ref())
}
