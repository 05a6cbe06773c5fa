//! Paths that can be read in one way only. Whatever could mean one thing here and another behind the gateway is
//! refused; what is left is brought into one spelling, so that routing, permission and handler see the same.

use std::borrow::Cow;

use coder_core::{Code, Problem};

/// The path with needless percent-encoding undone (RFC 3986, section 6.2.2), or why it is refused.
pub(crate) fn normalize(path: &str) -> Result<Cow<'_, str>, Problem> {
    if !path.starts_with('/') {
        return Err(refused("A path begins with `/`."));
    }
    let path = if path.contains('%') { Cow::Owned(decode_once(path)?) } else { Cow::Borrowed(path) };
    if path.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return Err(refused("Characters outside ASCII and `\\` must be percent-encoded or left out."));
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        // Some servers cut `;` and what follows before they look at the dots.
        let name = segment.split(';').next().unwrap_or_default();
        if name == "." || name == ".." {
            return Err(refused("`.` and `..` are no segments; write the path out."));
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err(refused("Empty segments (`//`) are not allowed."));
        }
    }
    Ok(path)
}

/// The group that a normalized path names: `/api/<group>`, alone or with more behind it.
pub(crate) fn group(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/")?;
    rest.split('/').next()
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn decode_once(path: &str) -> Result<String, Problem> {
    let mut spelled = String::with_capacity(path.len());
    let mut meant = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            spelled.push(char::from(byte));
            meant.push(byte);
            continue;
        }
        let Some(byte) = hex_pair(bytes.next(), bytes.next()) else {
            return Err(refused("`%` must be followed by two hexadecimal digits."));
        };
        let mut ahead = bytes.clone();
        match byte {
            b'/' | b'\\' => return Err(refused("Encoded slashes and backslashes are not allowed.")),
            0..=0x1f | 0x7f => return Err(refused("Control characters are not allowed.")),
            b'%' if hex_pair(ahead.next(), ahead.next()).is_some() => {
                return Err(refused("The path is percent-encoded twice."));
            }
            b'-' | b'.' | b'_' | b'~' => spelled.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => spelled.push(char::from(byte)),
            byte => {
                let digit = |value: u8| char::from(HEX[usize::from(value)]);
                spelled.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        meant.push(byte);
    }
    match std::str::from_utf8(&meant) {
        Ok(_) => Ok(spelled),
        Err(_) => Err(refused("The path is not UTF-8.")),
    }
}

fn hex_pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::InvalidPath, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_not_copied() {
        for path in ["/", "/api/ai", "/api/ai/", "/api/knowledge/a.b/..c/...", "/api/x;v=1"] {
            assert!(matches!(normalize(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
    }

    #[test]
    fn needless_encoding_is_undone_once_and_the_rest_kept() {
        let spelled = |path| normalize(path).map(Cow::into_owned).map_err(|problem| problem.code);
        assert_eq!(spelled("/api/%61i/%7ex"), Ok("/api/ai/~x".into()));
        assert_eq!(spelled("/api/ai/caf%c3%a9%20%3f"), Ok("/api/ai/caf%C3%A9%20%3F".into()));
        assert_eq!(spelled("/api/ai/100%25"), Ok("/api/ai/100%25".into()));
    }

    #[test]
    fn whatever_could_be_read_twice_is_refused() {
        let tricks = [
            "",
            "*",
            "api/ai",
            "/api/../ai",
            "/api/ai/.",
            "/api/ai/..",
            "//api/ai",
            "/api//ai",
            "/api/ai//",
            "/api/%2e%2e/ai",
            "/api/.%2E/ai",
            "/api/ai%2fx",
            "/api/ai%2Fx",
            "/api/ai%5cx",
            "/api/ai\\x",
            "/api/%252e%252e/ai",
            "/api/ai/%2500",
            "/api/ai/%00",
            "/api/ai/%0d%0a",
            "/api/ai/%7f",
            "/api/ai/%",
            "/api/ai/%2",
            "/api/ai/%zz",
            "/api/ai/%+1",
            "/api/ai/%ff",
            "/api/ai/%c0%af",
            "/api/ai/é",
            "/api/..;/ai",
            "/api/.;x=1/ai",
        ];
        for trick in tricks {
            assert_eq!(normalize(trick).map_err(|problem| problem.code), Err(Code::InvalidPath), "{trick}");
        }
    }

    #[test]
    fn the_group_is_the_second_segment() {
        assert_eq!(group("/api/ai"), Some("ai"));
        assert_eq!(group("/api/ai/models"), Some("ai"));
        assert_eq!(group("/api/aix"), Some("aix"));
        assert_eq!(group("/api"), None);
        assert_eq!(group("/API/ai"), None);
    }
}
