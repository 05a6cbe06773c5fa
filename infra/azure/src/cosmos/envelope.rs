//! What is stored beside a document's own fields, and the entity tag that callers see.
//!
//! | field | meaning |
//! |---|---|
//! | `_op` | the id of the write that made the document what it is |
//! | `_end` | when the document is over, in milliseconds since 1970 |
//! | `ttl` | seconds after which the service removes it, for `_end` |

use coder_core::Timestamp;
use coder_database::Document;
use serde_json::{Map, Value};

/// The field of the write's id.
const OPERATION: &str = "_op";
/// The field of the document's end.
pub(super) const END: &str = "_end";
/// The longest time to live that Cosmos DB takes, in seconds.
const MAX_TTL: i64 = i32::MAX as i64;

/// A document as it lies in the store, over or not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    /// The service's tag.
    pub(super) etag: String,
    /// When it is over.
    pub(super) end: Option<i64>,
    /// The id of the write that made it.
    pub(super) operation: String,
    /// Its own fields.
    pub(super) body: Value,
}

impl Stored {
    /// Takes a document apart. The tag is the given one, or the one inside.
    pub(super) fn open(mut value: Value, etag: Option<&str>) -> Self {
        let empty = &mut Map::new();
        let fields = value.as_object_mut().unwrap_or(empty);
        let own = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (operation, inside) = (own(OPERATION), own("_etag"));
        let end = fields.get(END).and_then(Value::as_f64);
        fields.retain(|name, _| !coder_database::rules::is_reserved(name));
        #[expect(clippy::cast_possible_truncation, reason = "written as a whole number of milliseconds")]
        let end = end.map(|end| end as i64);
        Self { etag: etag.map_or(inside, str::to_owned), end, operation, body: value }
    }

    /// The document as the platform knows it.
    pub(super) fn into_document(self) -> Document {
        let id = self.body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let etag = Tag { etag: self.etag, end: self.end }.to_string();
        Document { id, etag, body: self.body }
    }
}

/// The value that is stored for a document.
pub(super) fn close(body: &Value, operation: &str, end: Option<i64>, now: Timestamp) -> Value {
    let mut value = body.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.insert(OPERATION.to_owned(), operation.into());
        if let Some(end) = end {
            fields.insert(END.to_owned(), end.into());
            // Rounded up: the service must not remove what the platform still shows.
            let seconds = end.saturating_sub(now.as_millisecond()).saturating_add(999) / 1000;
            fields.insert("ttl".to_owned(), seconds.clamp(1, MAX_TTL).into());
        }
    }
    value
}

/// Whether a document with this end is there at this time.
pub(super) fn is_live(end: Option<i64>, now: Timestamp) -> bool {
    end.is_none_or(|end| end > now.as_millisecond())
}

/// The entity tag that callers see: the service's, and the document's end, so that a guarded write knows without
/// reading whether the document is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) etag: String,
    pub(super) end: Option<i64>,
}

impl Tag {
    /// Reads any text: one that is no tag guards nothing that exists.
    pub(super) fn parse(text: &str) -> Self {
        let parts = text.rsplit_once('@').and_then(|(etag, end)| Some((etag, end.parse().ok()?)));
        match parts {
            Some((etag, end)) => Self { etag: etag.to_owned(), end: Some(end) },
            None => Self { etag: text.to_owned(), end: None },
        }
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.end {
            Some(end) => write!(out, "{}@{end}", self.etag),
            None => out.write_str(&self.etag),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_comes_back_without_what_was_added() {
        let now = Timestamp::from_millisecond(1_000_500).unwrap();
        let body = json!({ "id": "a", "x": { "_op": 1, "ttl": 2 } });
        let mut value = close(&body, "write-1", Some(1_002_000), now);
        assert_eq!((&value["ttl"], &value["_end"]), (&json!(2), &json!(1_002_000)));
        value["_ts"] = json!(1);
        value["_etag"] = json!("\"e\"");
        let stored = Stored::open(value, None);
        assert_eq!((stored.operation.as_str(), stored.end), ("write-1", Some(1_002_000)));
        let document = stored.into_document();
        assert_eq!((document.id.as_str(), document.etag.as_str()), ("a", "\"e\"@1002000"));
        assert_eq!(document.body, body);
    }

    #[test]
    fn the_service_never_removes_early_nor_is_asked_to_wait_too_long() {
        let now = Timestamp::from_millisecond(0).unwrap();
        for (end, ttl) in [(1, 1), (1000, 1), (1001, 2), (0, 1), (-5, 1), (i64::MAX, MAX_TTL)] {
            assert_eq!(close(&json!({}), "w", Some(end), now)["ttl"], json!(ttl), "{end}");
        }
        assert_eq!(close(&json!({}), "w", None, now), json!({ "_op": "w" }));
    }

    #[test]
    fn a_tag_says_when_the_document_ends() {
        for tag in
            [Tag { etag: "\"0000-00\"".into(), end: None }, Tag { etag: "\"0000-00\"".into(), end: Some(-7) }]
        {
            assert_eq!(Tag::parse(&tag.to_string()), tag);
        }
        assert_eq!(Tag::parse("a@b"), Tag { etag: "a@b".into(), end: None });
    }
}
