//! Where a page ended: the values of the order's columns in its last document, as text that only the same query
//! accepts.

use coder_core::text::sha256_hex;
use coder_database::StoreError;
use serde_json::Value;

/// Characters of the check at the front.
const CHECK: usize = 16;

/// The position as text; `query` names the query that it is for.
pub(super) fn encode(values: Vec<Value>, query: &str) -> String {
    let text = Value::from(values).to_string();
    format!("{}{text}", check(query, &text))
}

/// Reads what [`encode`] made for the same query, with so many columns.
pub(super) fn decode(text: &str, query: &str, columns: usize) -> Result<Vec<Value>, StoreError> {
    parse(text, query).filter(|values| values.len() == columns).ok_or_else(|| StoreError::Invalid {
        what: "the continuation was not given for this query: start at the first page".to_owned(),
    })
}

fn parse(text: &str, query: &str) -> Option<Vec<Value>> {
    let (given, text) = text.split_at_checked(CHECK)?;
    (given == check(query, text)).then(|| serde_json::from_str(text).ok()).flatten()
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
        let values = vec![json!("é\"\0"), json!(-1.5), json!(null)];
        let text = encode(values.clone(), "q");
        assert_eq!(decode(&text, "q", 3), Ok(values));
        assert!(decode(&text, "other", 3).is_err());
        assert!(decode(&text, "q", 2).is_err());
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert!(decode(&text[..at], "q", 3).is_err(), "cut at {at}");
        }
    }
}
