//! The text of a query and its parameters, growing together. Values are always parameters; only field paths that
//! were checked are written into the text.

use azure_data_cosmos::Query;
use coder_database::StoreError;
use coder_database::rules::check_field;
use serde_json::Value;

use super::error;

/// A query on documents named `c`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sql {
    text: String,
    parameters: Vec<Value>,
}

impl Sql {
    /// Appends fixed text.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a parameter and gives its name. Numbers are 64-bit floats to the service.
    pub(super) fn parameter(&mut self, value: Value) -> String {
        let exact = |number: &serde_json::Number| {
            number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS)
        };
        let value = match &value {
            Value::Number(number) if !number.is_f64() && !exact(number) => number.as_f64().into(),
            _ => value,
        };
        self.parameters.push(value);
        format!("@p{}", self.parameters.len())
    }

    /// The query for the SDK.
    pub(super) fn finish(self) -> Result<Query, StoreError> {
        let mut named = self.parameters.into_iter().enumerate();
        named
            .try_fold(Query::from(self.text), |query, (at, value)| {
                query.with_parameter(format!("@p{}", at + 1), value)
            })
            .map_err(|cause| error::of_request(&cause))
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> (&str, &[Value]) {
        (&self.text, &self.parameters)
    }
}

/// Words that are no names after a dot.
const KEYWORDS: [&str; 46] = [
    "AND",
    "ARRAY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CROSS",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "ESCAPE",
    "EXISTS",
    "FALSE",
    "FOR",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LET",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "OR",
    "ORDER",
    "OVER",
    "RANK",
    "RIGHT",
    "SELECT",
    "SET",
    "TOP",
    "TRUE",
    "UDF",
    "UNDEFINED",
    "UPDATE",
    "VALUE",
    "WHERE",
];

/// The expression of a field. After a dot where possible: the SDK takes only such a path to sort by across partitions.
pub(super) fn field(path: &str) -> Result<String, StoreError> {
    check_field(path)?;
    let expression = path.split('.').fold("c".to_owned(), |expression, name| {
        let begins_as_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let is_keyword = KEYWORDS.iter().any(|keyword| name.eq_ignore_ascii_case(keyword));
        if begins_as_name && !is_keyword {
            format!("{expression}.{name}")
        } else {
            format!("{expression}['{name}']")
        }
    });
    Ok(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_so_that_it_is_no_keyword() {
        assert_eq!(field("type"), Ok("c.type".into()));
        assert_eq!(field("actor.id"), Ok("c.actor.id".into()));
        assert_eq!(field("order.Value.x"), Ok("c['order']['Value'].x".into()));
        assert_eq!(field("a.9"), Ok("c.a['9']".into()));
        assert!(field("a'] OR c['b").is_err());
    }
}
