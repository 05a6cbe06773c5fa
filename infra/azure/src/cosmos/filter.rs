//! Filters as Cosmos SQL.
//!
//! There a comparison with a missing field, or with a value of another type, is neither true nor false, and `NOT` of it
//! is not true either. A filter is two-valued, hence a check of the type stands before every comparison.

use coder_database::{Filter, StoreError};
use serde_json::Value;

use super::sql::{Sql, field};

impl Sql {
    /// Appends a filter.
    pub(super) fn push_filter(&mut self, filter: &Filter) -> Result<(), StoreError> {
        match filter {
            Filter::Eq(path, value) => self.push_equal(&field(path)?, value),
            Filter::Ne(path, value) => {
                let field = field(path)?;
                self.push(&format!("(IS_DEFINED({field}) AND NOT "));
                self.push_equal(&field, value);
                self.push(")");
            }
            Filter::Lt(path, value) => self.push_order(&field(path)?, "<", value),
            Filter::Le(path, value) => self.push_order(&field(path)?, "<=", value),
            Filter::Gt(path, value) => self.push_order(&field(path)?, ">", value),
            Filter::Ge(path, value) => self.push_order(&field(path)?, ">=", value),
            Filter::In(path, list) => self.push_in(&field(path)?, list),
            Filter::Contains(path, part) => self.push_text("CONTAINS", &field(path)?, part),
            Filter::StartsWith(path, part) => self.push_text("STARTSWITH", &field(path)?, part),
            Filter::ArrayContains(path, value) => {
                let field = field(path)?;
                if value.is_array() || value.is_object() {
                    self.push("false");
                } else {
                    let name = self.parameter(value.clone());
                    self.push(&format!("(IS_ARRAY({field}) AND ARRAY_CONTAINS({field}, {name}))"));
                }
            }
            Filter::IsDefined(path) => self.push(&format!("IS_DEFINED({})", field(path)?)),
            Filter::IsNull(path) => self.push(&format!("IS_NULL({})", field(path)?)),
            Filter::And(all) => self.push_all(all, "true", " AND ")?,
            Filter::Or(any) => self.push_all(any, "false", " OR ")?,
            Filter::Not(filter) if let Filter::Not(twice) = &**filter => self.push_filter(twice)?,
            Filter::Not(filter) => {
                self.push("(NOT ");
                self.push_filter(filter)?;
                self.push(")");
            }
        }
        Ok(())
    }

    fn push_all(&mut self, all: &[Filter], none: &str, join: &str) -> Result<(), StoreError> {
        if all.is_empty() {
            self.push(none);
            return Ok(());
        }
        for (at, filter) in all.iter().enumerate() {
            self.push(if at == 0 { "(" } else { join });
            self.push_filter(filter)?;
        }
        self.push(")");
        Ok(())
    }

    /// Appends that the field has the value's type and value; arrays and objects equal nothing.
    pub(super) fn push_equal(&mut self, field: &str, value: &Value) {
        match type_check(value) {
            Some("IS_NULL") => self.push(&format!("IS_NULL({field})")),
            Some(check) => {
                let name = self.parameter(value.clone());
                self.push(&format!("({check}({field}) AND {field} = {name})"));
            }
            None => self.push("false"),
        }
    }

    fn push_order(&mut self, field: &str, operator: &str, value: &Value) {
        match type_check(value) {
            Some(check @ ("IS_NUMBER" | "IS_STRING")) => {
                let name = self.parameter(value.clone());
                self.push(&format!("({check}({field}) AND {field} {operator} {name})"));
            }
            _ => self.push("false"),
        }
    }

    fn push_in(&mut self, field: &str, list: &[Value]) {
        let mut join = "(";
        for check in ["IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING"] {
            let of_type: Vec<&Value> = list.iter().filter(|value| type_check(value) == Some(check)).collect();
            if of_type.is_empty() {
                continue;
            }
            self.push(join);
            join = " OR ";
            self.push(&format!("({check}({field})"));
            if check != "IS_NULL" {
                let names: Vec<String> =
                    of_type.into_iter().map(|value| self.parameter(value.clone())).collect();
                self.push(&format!(" AND {field} IN ({})", names.join(", ")));
            }
            self.push(")");
        }
        self.push(if join == "(" { "false" } else { ")" });
    }

    fn push_text(&mut self, function: &str, field: &str, part: &str) {
        let name = self.parameter(part.into());
        self.push(&format!("(IS_STRING({field}) AND {function}({field}, {name}))"));
    }
}

/// The function that says whether a value is of this scalar's type.
fn type_check(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => Some("IS_NULL"),
        Value::Bool(_) => Some("IS_BOOL"),
        Value::Number(_) => Some("IS_NUMBER"),
        Value::String(_) => Some("IS_STRING"),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(filter: &Filter) -> (String, Vec<Value>) {
        let mut sql = Sql::default();
        sql.push_filter(filter).unwrap();
        let (text, parameters) = sql.parts();
        (text.to_owned(), parameters.to_vec())
    }

    #[test]
    fn values_are_parameters() {
        let filter = Filter::And(vec![Filter::eq("a.b", "x' OR true --")])
            .and(Filter::Not(Box::new(Filter::Ge("n".into(), json!(1)))))
            .and(Filter::In("t".into(), vec![json!("u"), json!(null), json!([1])]));
        let (text, parameters) = compiled(&filter);
        assert_eq!(
            text,
            "((IS_STRING(c.a.b) AND c.a.b = @p1) AND (NOT (IS_NUMBER(c.n) AND c.n >= @p2)) \
             AND ((IS_NULL(c.t)) OR (IS_STRING(c.t) AND c.t IN (@p3))))"
        );
        assert_eq!(parameters, [json!("x' OR true --"), json!(1), json!("u")]);
    }

    #[test]
    fn what_cannot_be_true_is_false() {
        for filter in [
            Filter::Eq("a".into(), json!([])),
            Filter::Lt("a".into(), json!(null)),
            Filter::In("a".into(), vec![]),
            Filter::ArrayContains("a".into(), json!({})),
            Filter::Or(vec![]),
        ] {
            assert_eq!(compiled(&filter), ("false".to_owned(), vec![]), "{filter:?}");
        }
        assert_eq!(compiled(&Filter::And(vec![])).0, "true");
    }

    #[test]
    fn a_path_that_is_none_never_reaches_the_text() {
        for path in ["", "a'", "a\"]", "a b", "c[0]"] {
            assert!(Sql::default().push_filter(&Filter::eq(path, 1)).is_err(), "{path}");
        }
    }
}
