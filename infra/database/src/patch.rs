//! Changing single fields of a document: what every provider makes of a patch.

use serde_json::{Map, Number, Value};

use crate::store::{Patch, StoreError};

/// Applies the changes in order; after a fault the body is not to be used.
pub fn apply(body: &mut Value, patches: Vec<Patch>) -> Result<(), StoreError> {
    patches.into_iter().try_for_each(|patch| apply_one(body, patch))
}

fn apply_one(body: &mut Value, patch: Patch) -> Result<(), StoreError> {
    match patch {
        Patch::Set { field, value } => {
            let (parent, name) = parent(body, &field).ok_or_else(|| no_parent(&field))?;
            parent.insert(name.to_owned(), value);
        }
        Patch::Remove { field } => {
            if let Some((parent, name)) = parent(body, &field) {
                parent.remove(name);
            }
        }
        Patch::Increment { field, by } => {
            let (parent, name) = parent(body, &field).ok_or_else(|| no_parent(&field))?;
            let sum = match parent.get(name) {
                None => Some(by.into()),
                Some(Value::Number(number)) => add(number, by),
                Some(_) => return Err(invalid(format!("`{field}` is no number to add to"))),
            };
            let sum = sum.ok_or_else(|| invalid(format!("`{field}` would be too large a number")))?;
            parent.insert(name.to_owned(), Value::Number(sum));
        }
    }
    Ok(())
}

/// The object that holds the last name of the path.
fn parent<'a, 'p>(body: &'a mut Value, path: &'p str) -> Option<(&'a mut Map<String, Value>, &'p str)> {
    let (parents, name) = path.rsplit_once('.').map_or((None, path), |(parents, name)| (Some(parents), name));
    let mut names = parents.into_iter().flat_map(|parents| parents.split('.'));
    let parent = names.try_fold(body, |value, name| value.as_object_mut()?.get_mut(name))?;
    Some((parent.as_object_mut()?, name))
}

fn invalid(what: String) -> StoreError {
    StoreError::Invalid { what }
}

fn no_parent(field: &str) -> StoreError {
    invalid(format!("there is no object to hold `{field}`"))
}

/// Whole numbers stay whole; `None` where the sum has no place.
fn add(number: &Number, by: i64) -> Option<Number> {
    if let Some(whole) = number.as_i128() {
        return Number::from_i128(whole + i128::from(by));
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a number with a fraction is a 64-bit float to begin with"
    )]
    Number::from_f64(number.as_f64()? + by as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(mut body: Value, patch: Patch) -> Result<Value, StoreError> {
        apply(&mut body, vec![patch]).map(|()| body)
    }

    fn increment(field: &str, by: i64) -> Patch {
        Patch::Increment { field: field.into(), by }
    }

    #[test]
    fn fields_are_set_and_removed_at_any_depth() {
        let set = |field: &str| Patch::Set { field: field.into(), value: json!([1]) };
        let remove = |field: &str| Patch::Remove { field: field.into() };
        assert_eq!(patched(json!({}), set("a")), Ok(json!({"a": [1]})));
        assert_eq!(patched(json!({"a": {"b": 2}}), set("a.b")), Ok(json!({"a": {"b": [1]}})));
        assert_eq!(patched(json!({"a": {"b": 2}}), remove("a.b")), Ok(json!({"a": {}})));
        assert_eq!(patched(json!({"a": 1}), remove("b.c")), Ok(json!({"a": 1})));
        for body in [json!({}), json!({"a": 1}), json!({"a": [{}]})] {
            assert!(patched(body, set("a.b")).is_err());
        }
    }

    #[test]
    fn increments_keep_whole_numbers_whole() {
        assert_eq!(patched(json!({}), increment("a", -3)), Ok(json!({"a": -3})));
        assert_eq!(patched(json!({"a": 40}), increment("a", 2)), Ok(json!({"a": 42})));
        assert_eq!(patched(json!({"a": 0.5}), increment("a", 2)), Ok(json!({"a": 2.5})));
        assert_eq!(
            patched(json!({"a": i64::MAX}), increment("a", 1)),
            Ok(json!({"a": 9_223_372_036_854_775_808_u64}))
        );
        assert!(patched(json!({"a": u64::MAX}), increment("a", 1)).is_err());
        assert!(patched(json!({"a": "1"}), increment("a", 1)).is_err());
        assert!(patched(json!({"a": null}), increment("a", 1)).is_err());
    }
}
