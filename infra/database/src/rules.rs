//! The rules of Cosmos DB that every provider enforces before it touches its store, so that what works on one
//! works on all: sizes, ids, field names, partition keys.

use serde_json::Value;

use crate::container::Container;
use crate::document::field;
use crate::filter::Filter;
use crate::query::Query;
use crate::store::{Operation, PartitionKey, Patch, StoreError};

/// Bytes of a document as JSON, and of all documents of a batch together: the 2 MiB of the cloud, less the room for
/// what a provider and the batch's own envelope add.
pub const MAX_BYTES: usize = 2_000_000;
/// Operations of a batch.
pub const MAX_OPERATIONS: usize = 100;
/// Single changes of one patch.
pub const MAX_PATCHES: usize = 10;
/// Characters of an id.
pub const MAX_ID_CHARACTERS: usize = 255;
/// Arrays and objects inside one another; JSON readers stop here.
pub const MAX_DEPTH: usize = 127;
/// Documents of a page.
pub const MAX_PAGE: u32 = 1000;
/// Conditions of a filter, each `And`, `Or` and `Not` counted.
pub const MAX_CONDITIONS: usize = 250;
/// Values of a filter's list.
pub const MAX_LIST: usize = 1000;
/// Fields of an order.
pub const MAX_ORDER: usize = 2;

fn invalid(what: impl Into<String>) -> StoreError {
    StoreError::Invalid { what: what.into() }
}

/// A document id: 1–255 characters, none of `/ \ ? #`.
pub fn check_id(id: &str) -> Result<(), StoreError> {
    if id.is_empty() || id.chars().count() > MAX_ID_CHARACTERS || id.contains(['/', '\\', '?', '#']) {
        let what = format!("the id must have 1 to {MAX_ID_CHARACTERS} characters, none of them / \\ ? #");
        return Err(StoreError::TooLarge { what });
    }
    Ok(())
}

/// A dotted field path: names of ASCII letters, digits and `_`, the first beginning with a letter. Providers
/// write such a path into a query's text, so nothing else may pass.
pub fn check_field(path: &str) -> Result<(), StoreError> {
    let names = path.split('.').all(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if names && path.starts_with(|first: char| first.is_ascii_alphabetic()) {
        Ok(())
    } else {
        Err(invalid(format!("`{path}` is no field path")))
    }
}

/// The levels of a container's partition key as dotted paths.
pub fn key_fields(container: &Container) -> impl Iterator<Item = String> + '_ {
    container.partition_key.iter().map(|path| path.trim_start_matches('/').replace('/', "."))
}

/// A key that names one partition.
pub fn check_whole_key(container: &Container, key: &PartitionKey) -> Result<(), StoreError> {
    if key.0.len() == container.partition_key.len() {
        return Ok(());
    }
    let (levels, given) = (container.partition_key.len(), key.0.len());
    Err(invalid(format!("a partition key of `{}` has {levels} values, not {given}", container.name)))
}

/// A key that names one partition or, with fewer values, all below it; never none.
pub fn check_key_prefix(container: &Container, key: &PartitionKey) -> Result<(), StoreError> {
    if (1..=container.partition_key.len()).contains(&key.0.len()) {
        return Ok(());
    }
    let (levels, given) = (container.partition_key.len(), key.0.len());
    Err(invalid(format!("a partition key of `{}` has 1 to {levels} values, not {given}", container.name)))
}

/// A filter's size and field names.
pub fn check_filter(filter: &Filter) -> Result<(), StoreError> {
    let conditions = count_conditions(filter)?;
    if conditions > MAX_CONDITIONS {
        return Err(invalid(format!("a filter has at most {MAX_CONDITIONS} conditions, not {conditions}")));
    }
    Ok(())
}

fn count_conditions(filter: &Filter) -> Result<usize, StoreError> {
    match filter {
        Filter::And(all) | Filter::Or(all) => {
            all.iter().try_fold(1, |sum, filter| Ok(sum + count_conditions(filter)?))
        }
        Filter::Not(filter) => Ok(1 + count_conditions(filter)?),
        Filter::In(_, list) if list.len() > MAX_LIST => {
            Err(invalid(format!("a filter's list has at most {MAX_LIST} values, not {}", list.len())))
        }
        Filter::Eq(path, _)
        | Filter::Ne(path, _)
        | Filter::Lt(path, _)
        | Filter::Le(path, _)
        | Filter::Gt(path, _)
        | Filter::Ge(path, _)
        | Filter::In(path, _)
        | Filter::Contains(path, _)
        | Filter::StartsWith(path, _)
        | Filter::ArrayContains(path, _)
        | Filter::IsDefined(path)
        | Filter::IsNull(path) => check_field(path).map(|()| 1),
    }
}

/// A query's filter, page size and order.
pub fn check_query(query: &Query) -> Result<(), StoreError> {
    if !(1..=MAX_PAGE).contains(&query.limit) {
        return Err(invalid(format!("a page has 1 to {MAX_PAGE} documents, not {}", query.limit)));
    }
    if query.order.len() > MAX_ORDER {
        return Err(invalid(format!("an order has at most {MAX_ORDER} fields")));
    }
    query.filter.iter().try_for_each(check_filter)?;
    query.order.iter().try_for_each(|(path, _)| check_field(path))
}

/// A document as it may be stored under this key and id. Gives its JSON text.
pub fn check_document(
    container: &Container,
    key: &PartitionKey,
    id: &str,
    body: &Value,
) -> Result<String, StoreError> {
    if body.get("id").and_then(Value::as_str) != Some(id) {
        return Err(invalid("a document is an object whose `id` is the id it is stored under"));
    }
    let names = body.as_object().into_iter().flat_map(serde_json::Map::keys);
    if let Some(name) = names.into_iter().find(|name| is_reserved(name)) {
        return Err(invalid(format!("the field `{name}` belongs to the store")));
    }
    for (path, value) in key_fields(container).zip(&key.0) {
        if field(body, &path).and_then(Value::as_str) != Some(value) {
            return Err(invalid(format!("the document's `{path}` is not the partition key's")));
        }
    }
    if depth(body) > MAX_DEPTH {
        return Err(invalid(format!("a document nests at most {MAX_DEPTH} levels deep")));
    }
    let text = body.to_string();
    if text.len() > MAX_BYTES {
        return Err(too_large("document", text.len()));
    }
    Ok(text)
}

/// Whether a top-level field is the store's own: its system fields, what a provider adds, and the time to live.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with('_') || name == "ttl"
}

/// Everything that can be said of a write before the store is asked. Gives the JSON text of each operation's
/// body; empty where an operation has none.
pub fn check_write(
    container: &Container,
    key: &PartitionKey,
    operations: &[Operation],
) -> Result<Vec<String>, StoreError> {
    check_whole_key(container, key)?;
    if operations.is_empty() {
        return Err(invalid("a batch has at least one operation"));
    }
    if operations.len() > MAX_OPERATIONS {
        let what = format!("a batch has at most {MAX_OPERATIONS} operations, not {}", operations.len());
        return Err(StoreError::TooLarge { what });
    }
    let texts: Vec<String> = operations
        .iter()
        .map(|operation| {
            check_id(operation.id())?;
            match operation {
                Operation::Create { id, body, .. }
                | Operation::Replace { id, body, .. }
                | Operation::Upsert { id, body, .. } => check_document(container, key, id, body),
                Operation::Patch { patches, .. } => check_patches(container, patches),
                Operation::Delete { .. } => Ok(String::new()),
            }
        })
        .collect::<Result<_, _>>()?;
    let bytes =
        texts.iter().map(String::len).sum::<usize>() + operations.iter().map(patch_bytes).sum::<usize>();
    if bytes > MAX_BYTES { Err(too_large("batch", bytes)) } else { Ok(texts) }
}

fn check_patches(container: &Container, patches: &[Patch]) -> Result<String, StoreError> {
    if patches.is_empty() || patches.len() > MAX_PATCHES {
        return Err(invalid(format!("a patch has 1 to {MAX_PATCHES} changes, not {}", patches.len())));
    }
    for Patch::Set { field, .. } | Patch::Remove { field } | Patch::Increment { field, .. } in patches {
        check_field(field)?;
        let fixed = |path: &str| path == field || path.starts_with(&format!("{field}."));
        if is_reserved(field.split('.').next().unwrap_or(field)) {
            return Err(invalid(format!("the field `{field}` belongs to the store")));
        }
        if fixed("id") || key_fields(container).any(|path| fixed(&path)) {
            return Err(invalid(format!("`{field}` says where the document is and cannot be patched")));
        }
    }
    Ok(String::new())
}

fn patch_bytes(operation: &Operation) -> usize {
    let Operation::Patch { patches, .. } = operation else { return 0 };
    let value = |patch: &Patch| match patch {
        Patch::Set { value, .. } => value.to_string().len(),
        Patch::Remove { .. } | Patch::Increment { .. } => 0,
    };
    patches.iter().map(value).sum()
}

fn too_large(what: &str, bytes: usize) -> StoreError {
    StoreError::TooLarge { what: format!("the {what} has {bytes} bytes; at most {MAX_BYTES} are stored") }
}

/// How deep arrays and objects nest; stops counting just past the limit.
fn depth(value: &Value) -> usize {
    fn below(value: &Value, left: usize) -> usize {
        match value {
            _ if left == 0 => 0,
            Value::Array(items) => 1 + items.iter().map(|item| below(item, left - 1)).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(|item| below(item, left - 1)).max().unwrap_or(0),
            _ => 0,
        }
    }
    below(value, MAX_DEPTH + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_could_change_a_query_are_refused() {
        for path in ["a", "createdAt", "scope.id", "a.b_c.d9"] {
            assert_eq!(check_field(path), Ok(()), "{path}");
        }
        for path in ["", "9a", "_a", ".a", "a.", "a..b", "a b", "a'", "a\"", "a]", "a$", "é", "a\0", "a-b"] {
            assert!(check_field(path).is_err(), "{path}");
        }
    }

    #[test]
    fn ids_are_short_and_fit_an_address() {
        for id in ["a", "org:1", "é%'\"", &"x".repeat(255)] {
            assert_eq!(check_id(id), Ok(()), "{id}");
        }
        for id in ["", "a/b", "a\\b", "a?b", "a#b", &"x".repeat(256)] {
            assert!(matches!(check_id(id), Err(StoreError::TooLarge { .. })), "{id}");
        }
    }

    #[test]
    fn what_passes_can_be_read_back() {
        let nested = |levels: usize| (1..levels).fold(json!([]), |inner, _| json!([inner]));
        let body = |levels| json!({ "id": "a", "partitionKey": "p", "x": nested(levels - 1) });
        let (container, key) = (Container::new("c"), PartitionKey::single("p"));
        let text = check_document(&container, &key, "a", &body(MAX_DEPTH)).unwrap();
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        assert!(check_document(&container, &key, "a", &body(MAX_DEPTH + 1)).is_err());
        assert!(serde_json::from_str::<Value>(&body(MAX_DEPTH + 1).to_string()).is_err());
    }
}
