//! Where a page ended: the sort keys, id and partition of its last document, as text that only the same query
//! accepts.

use coder_core::text::sha256_hex;
use coder_database::StoreError;
use data_encoding::HEXLOWER;

use crate::error::invalid;
use crate::key;

/// Characters of the check at the front.
const CHECK: usize = 16;

/// The place of a document in the order of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// The keys of the order's fields.
    pub(crate) keys: Vec<Vec<u8>>,
    /// The document's id.
    pub(crate) id: String,
    /// The text of its partition key.
    pub(crate) pk: String,
}

impl Position {
    /// The position as text; `query` names the query that it is for.
    pub(crate) fn encode(&self, query: &str) -> String {
        let keys = self.keys.iter().map(|key| match std::str::from_utf8(key) {
            // Strings as they are, to keep the text short.
            Ok(text) if key.first() == Some(&key::STRING) => text.to_owned(),
            _ => HEXLOWER.encode(key),
        });
        let parts: Vec<String> = keys.chain([self.id.clone(), self.pk.clone()]).collect();
        let text = serde_json::Value::from(parts).to_string();
        format!("{}{text}", check(query, &text))
    }

    /// Reads a text that [`Position::encode`] made for the same query, with so many fields in its order.
    pub(crate) fn decode(text: &str, query: &str, fields: usize) -> Result<Self, StoreError> {
        Self::parse(text, query, fields)
            .ok_or_else(|| invalid("the continuation was not given for this query: start at the first page"))
    }

    fn parse(text: &str, query: &str, fields: usize) -> Option<Self> {
        let (given, text) = text.split_at_checked(CHECK)?;
        if given != check(query, text) {
            return None;
        }
        let mut parts: Vec<String> = serde_json::from_str(text).ok()?;
        let (pk, id) = (parts.pop()?, parts.pop()?);
        let keys = parts.into_iter().map(|part| match part.as_bytes().first() {
            Some(&key::STRING) => Some(part.into_bytes()),
            _ => HEXLOWER.decode(part.as_bytes()).ok(),
        });
        let keys = keys.collect::<Option<Vec<_>>>()?;
        (keys.len() == fields).then_some(Self { keys, id, pk })
    }
}

/// Finds mistakes, not malice: a forged position could at most start the same query elsewhere.
fn check(query: &str, text: &str) -> String {
    let mut check = sha256_hex(&[query, text]);
    check.truncate(CHECK);
    check
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_position_comes_back_and_only_to_its_query() {
        let keys = vec![key::of(&json!("é\"\0")), key::of(&json!(-1.5)), key::of(&json!(null))];
        let position = Position { keys, id: "a'b".into(), pk: "[\"x\"]".into() };
        let text = position.encode("q");
        assert_eq!(Position::decode(&text, "q", 3), Ok(position));
        assert!(Position::decode(&text, "other", 3).is_err());
        assert!(Position::decode(&text, "q", 2).is_err());
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert!(Position::decode(&text[..at], "q", 3).is_err(), "cut at {at}");
        }
    }
}
