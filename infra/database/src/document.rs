//! A document as a store keeps it.

use serde_json::Value;

/// A stored document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its id, unique in the partition.
    pub id: String,
    /// The store's own entity tag; changes at every write.
    pub etag: String,
    /// The document; an object with `id` and the partition key's fields.
    pub body: Value,
}

/// The value at a dotted path, if there is one.
pub fn field<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(body, |value, name| value.as_object()?.get(name))
}
