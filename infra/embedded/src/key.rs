//! The sort key of a JSON value: bytes that compare as the values do. It is what generated columns hold and
//! what filters compare with. Changing the encoding takes a new function name, new columns and new indexes.
//!
//! The first byte is the type, in the order of Cosmos DB; booleans, numbers and strings follow with their
//! value, arrays and objects without. No key at all means that the field is missing.

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ValueRef, ValueRef::Null};
use rusqlite::{Connection, Error};
use serde_json::Value;

pub(crate) const NULL: u8 = 1;
pub(crate) const BOOLEAN: u8 = 2;
pub(crate) const NUMBER: u8 = 3;
pub(crate) const STRING: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

/// The key of a value.
pub(crate) fn of(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![NULL],
        Value::Bool(value) => vec![BOOLEAN, u8::from(*value)],
        Value::Number(number) => of_number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => of_text(text),
        Value::Array(_) => vec![ARRAY],
        Value::Object(_) => vec![OBJECT],
    }
}

/// The key of a scalar; arrays and objects equal nothing.
pub(crate) fn of_scalar(value: &Value) -> Option<Vec<u8>> {
    (!value.is_array() && !value.is_object()).then(|| of(value))
}

/// The key of a string.
pub(crate) fn of_text(text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 1);
    key.push(STRING);
    key.extend_from_slice(text.as_bytes());
    key
}

/// Big-endian bits with the sign folded, so that bytes compare as numbers; −0 is 0.
fn of_number(number: f64) -> Vec<u8> {
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    let folded = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    let mut key = vec![NUMBER];
    key.extend_from_slice(&folded.to_be_bytes());
    key
}

/// Gives a connection the functions `ck1(json)` and `ck1_has(json array, key)`.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("ck1", 1, flags, |context| match context.get_raw(0) {
        Null => Ok(None),
        json => key_of_json(json).map(Some),
    })?;
    connection.create_scalar_function("ck1_has", 2, flags, |context| {
        let ValueRef::Text(json) = context.get_raw(0) else { return Ok(false) };
        if json.first() != Some(&b'[') {
            return Ok(false);
        }
        let wanted = context.get_raw(1).as_blob().map_err(user)?;
        let array: Vec<Value> = serde_json::from_slice(json).map_err(user)?;
        Ok(array.iter().any(|item| of_scalar(item).is_some_and(|key| key == wanted)))
    })
}

/// Reads no more of the JSON text than its key needs.
fn key_of_json(json: ValueRef<'_>) -> rusqlite::Result<Vec<u8>> {
    let json = json.as_bytes().map_err(user)?;
    match json.first() {
        Some(b'[') => Ok(vec![ARRAY]),
        Some(b'{') => Ok(vec![OBJECT]),
        _ => serde_json::from_slice(json).map(|value| of(&value)).map_err(user),
    }
}

fn user(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::UserFunctionError(Box::new(cause))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_sort_as_values_do() {
        let sorted = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1e308),
            json!(-2),
            json!(-1.5),
            json!(-5e-324),
            json!(0),
            json!(5e-324),
            json!(1),
            json!(9_007_199_254_740_991_u64),
            json!(u64::MAX),
            json!(1e308),
            json!(""),
            json!("\0"),
            json!("A"),
            json!("a"),
            json!("a\0"),
            json!("aa"),
            json!("é"),
            json!("\u{FFFF}"),
            json!("\u{10000}"),
            json!([]),
            json!({}),
        ];
        for pair in sorted.windows(2) {
            assert!(of(&pair[0]) < of(&pair[1]), "{} before {}", pair[0], pair[1]);
        }
        assert_eq!(of(&json!(-0.0)), of(&json!(0)));
        assert_eq!(of(&json!(1)), of(&json!(1.0)));
        assert_eq!(of_scalar(&json!([1])), None);
    }

    #[test]
    fn sql_and_rust_agree_on_keys() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let sql = "SELECT ck1(jsonb(?1)->'$.a.b'), ck1_has(jsonb(?1)->'$.a.b', ?2)";
        let key = |body: Value, has: Value| -> (Option<Vec<u8>>, bool) {
            connection
                .query_row(sql, (body.to_string(), of(&has)), |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap()
        };
        let values =
            [json!(null), json!(false), json!(0.1), json!(-7), json!("a\"\0é\u{1F600}\\"), json!({"x": 1})];
        for value in values {
            assert_eq!(key(json!({"a": {"b": value}}), json!(1)), (Some(of(&value)), false), "{value}");
        }
        assert_eq!(key(json!({"a": {}}), json!(1)), (None, false));
        assert_eq!(key(json!({"a": {"b": [2, "1", 1.0]}}), json!(1)), (Some(vec![ARRAY]), true));
        assert!(!key(json!({"a": {"b": [[1], "1"]}}), json!(1)).1);
    }
}
