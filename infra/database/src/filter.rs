//! The filter model and its meaning. [`Filter::matches`] is the meaning; both providers compile the model to
//! their own query language and are tested against it.
//!
//! A filter is two-valued: a leaf on a missing field, or on a value of another type than the operand's, is
//! false, and `not` of it is true. `field` is a dotted path.
//!
//! | filter | true when |
//! |---|---|
//! | `Eq(field, v)` | the field has v's type and value |
//! | `Ne(field, v)` | the field is there and is not v |
//! | `Lt`, `Le`, `Gt`, `Ge` | both are numbers or both are strings, and compare so (strings by their UTF-8 bytes; see below) |
//! | `In(field, list)` | `Eq` for any of the list; an empty list is never true |
//! | `Contains(field, s)` | the field is a string with s in it, case-sensitively |
//! | `StartsWith(field, s)` | the field is a string that begins with s |
//! | `ArrayContains(field, v)` | the field is an array with the scalar v in it |
//! | `IsDefined(field)` | the field is there, `null` included |
//! | `IsNull(field)` | the field is there and is `null` |
//! | `And`, `Or`, `Not` | as ever; an empty `And` is true, an empty `Or` false |
//!
//! Cosmos DB compares strings by UTF-16 units, which differs where one string has a character of U+E000–U+FFFF and
//! the other one beyond U+FFFF. Whole numbers beyond 2⁵³ count as the nearest 64-bit float.

use std::cmp::Ordering;

use serde_json::Value;

use crate::document::field;

/// Which documents a query returns. Operands are scalars.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the table above is the documentation of every variant")]
pub enum Filter {
    Eq(String, Value),
    Ne(String, Value),
    Lt(String, Value),
    Le(String, Value),
    Gt(String, Value),
    Ge(String, Value),
    In(String, Vec<Value>),
    Contains(String, String),
    StartsWith(String, String),
    ArrayContains(String, Value),
    IsDefined(String),
    IsNull(String),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
}

impl Filter {
    /// The field equals the value.
    pub fn eq(field: &str, value: impl Into<Value>) -> Self {
        Self::Eq(field.to_owned(), value.into())
    }

    /// The documents of one entity type.
    pub fn of_type(name: &str) -> Self {
        Self::eq("type", name)
    }

    /// Both hold.
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::And(mut all) => {
                all.push(other);
                Self::And(all)
            }
            one => Self::And(vec![one, other]),
        }
    }

    /// Whether the document passes.
    pub fn matches(&self, body: &Value) -> bool {
        match self {
            Self::Eq(path, operand) => field(body, path).is_some_and(|value| same(value, operand)),
            Self::Ne(path, operand) => field(body, path).is_some_and(|value| !same(value, operand)),
            Self::Lt(path, operand) => compares(body, path, operand, Ordering::is_lt),
            Self::Le(path, operand) => compares(body, path, operand, Ordering::is_le),
            Self::Gt(path, operand) => compares(body, path, operand, Ordering::is_gt),
            Self::Ge(path, operand) => compares(body, path, operand, Ordering::is_ge),
            Self::In(path, list) => {
                field(body, path).is_some_and(|value| list.iter().any(|operand| same(value, operand)))
            }
            Self::Contains(path, part) => text(body, path).is_some_and(|text| text.contains(part.as_str())),
            Self::StartsWith(path, part) => {
                text(body, path).is_some_and(|text| text.starts_with(part.as_str()))
            }
            Self::ArrayContains(path, operand) => field(body, path)
                .and_then(Value::as_array)
                .is_some_and(|array| array.iter().any(|value| same(value, operand))),
            Self::IsDefined(path) => field(body, path).is_some(),
            Self::IsNull(path) => field(body, path).is_some_and(Value::is_null),
            Self::And(all) => all.iter().all(|filter| filter.matches(body)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(body)),
            Self::Not(filter) => !filter.matches(body),
        }
    }
}

/// Same type and value; numbers as 64-bit floats; arrays and objects are never the same as a scalar.
fn same(value: &Value, operand: &Value) -> bool {
    match (value, operand) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        _ => value == operand,
    }
}

fn compares(body: &Value, path: &str, operand: &Value, wanted: fn(Ordering) -> bool) -> bool {
    let ordering = match (field(body, path), operand) {
        (Some(Value::Number(a)), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => None,
        },
        (Some(Value::String(a)), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    };
    ordering.is_some_and(wanted)
}

fn text<'a>(body: &'a Value, path: &str) -> Option<&'a str> {
    field(body, path).and_then(Value::as_str)
}
