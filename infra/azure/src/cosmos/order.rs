//! The order of a query in full, and the condition that a document comes after a position.
//!
//! Pages go on from the values of the last document, not from the service's own token: it is exact while documents
//! come and go, it is short, and it means the same in one partition and in many.
//!
//! Cosmos DB sorts by several fields only where a composite index has just these. Where the filter fixes the type, the
//! order begins with it, so that an index declared as `type, createdAt` serves as `type, createdAt, id`.

use coder_database::document::field as value_at;
use coder_database::rules::key_fields;
use coder_database::{Container, Direction, Filter, Query, StoreError};
use serde_json::Value;

use super::sql::{Sql, field};

/// The field that the filters of typed documents fix.
const TYPE: &str = "type";
/// The types in the order in which the service sorts them.
const TYPES: [&str; 6] = ["IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING", "IS_ARRAY", "IS_OBJECT"];

/// A column of the order.
#[derive(Debug, Clone, PartialEq)]
struct Column {
    path: String,
    descending: bool,
}

/// The columns that make the order total.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    /// The type, which is the same for all.
    fixed: Option<Column>,
    columns: Vec<Column>,
    fields: usize,
}

impl Order {
    /// The order of a query that reads below a key with so many levels: all of them are one partition, none is the
    /// whole container.
    pub(super) fn new(container: &Container, levels: usize, query: &Query) -> Self {
        let last = query.order.last().map_or(Direction::Ascending, |(_, direction)| *direction);
        let column =
            |path: String, direction| Column { path, descending: direction == Direction::Descending };
        let fields = query.order.iter().map(|(path, direction)| column(path.clone(), *direction));
        let id = std::iter::once(column("id".to_owned(), last));
        let places = key_fields(container).skip(levels).map(|path| column(path, last));
        let columns: Vec<Column> = if levels == 0 && query.order.is_empty() {
            places.chain(id).collect()
        } else {
            fields.chain(id).chain(places).collect()
        };
        let fixed = columns.len() > 1 && query.filter.as_ref().is_some_and(fixes_type);
        let fixed = fixed.then(|| Column { path: TYPE.to_owned(), descending: columns[0].descending });
        Self { fixed, columns, fields: query.order.len() }
    }

    /// How many values a position has.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The position of a document.
    pub(super) fn position(&self, body: &Value) -> Vec<Value> {
        let values = self.columns.iter().map(|column| value_at(body, &column.path).unwrap_or(&Value::Null));
        // Of arrays and objects only the type counts.
        let short = |value: &Value| match value {
            Value::Array(_) => Value::Array(Vec::new()),
            Value::Object(_) => Value::Object(serde_json::Map::new()),
            scalar => scalar.clone(),
        };
        values.map(short).collect()
    }

    /// Appends that the document has every field of the order.
    pub(super) fn push_present(&self, sql: &mut Sql) -> Result<(), StoreError> {
        for column in &self.columns[..self.fields] {
            sql.push(&format!(" AND IS_DEFINED({})", field(&column.path)?));
        }
        Ok(())
    }

    /// Appends that the document comes after the position.
    pub(super) fn push_after(&self, sql: &mut Sql, position: &[Value]) -> Result<(), StoreError> {
        sql.push(" AND ");
        let mut open = 0;
        for (at, (column, value)) in self.columns.iter().zip(position).enumerate() {
            let field = field(&column.path)?;
            sql.push("(");
            push_beyond(sql, &field, column.descending, value);
            open += 1;
            if at + 1 < self.columns.len() {
                sql.push(" OR (");
                push_same(sql, &field, value);
                sql.push(" AND ");
                open += 1;
            }
        }
        sql.push(&")".repeat(open));
        Ok(())
    }

    /// Appends the order.
    pub(super) fn push_order_by(&self, sql: &mut Sql) -> Result<(), StoreError> {
        for (at, Column { path, descending }) in self.fixed.iter().chain(&self.columns).enumerate() {
            let (comma, direction) =
                (if at == 0 { "" } else { "," }, if *descending { "DESC" } else { "ASC" });
            sql.push(&format!("{comma} {} {direction}", field(path)?));
        }
        Ok(())
    }
}

/// Whether only documents of one type pass.
fn fixes_type(filter: &Filter) -> bool {
    match filter {
        Filter::Eq(path, value) => path == TYPE && value.is_string(),
        Filter::And(all) => all.iter().any(fixes_type),
        _ => false,
    }
}

fn rank(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// The field's value is as good as this one in the order.
fn push_same(sql: &mut Sql, field: &str, value: &Value) {
    match value {
        Value::Array(_) | Value::Object(_) => sql.push(&format!("{}({field})", TYPES[rank(value)])),
        scalar => sql.push_equal(field, scalar),
    }
}

/// The field's value comes later in the order: a greater one of the type, or any of a greater type.
fn push_beyond(sql: &mut Sql, field: &str, descending: bool, value: &Value) {
    let rank = rank(value);
    let types = if descending { &TYPES[..rank] } else { &TYPES[rank + 1..] };
    let mut conditions: Vec<String> = types.iter().map(|check| format!("{check}({field})")).collect();
    if matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_)) {
        let (check, operator) = (TYPES[rank], if descending { "<" } else { ">" });
        let name = sql.parameter(value.clone());
        conditions.insert(0, format!("({check}({field}) AND {field} {operator} {name})"));
    }
    if conditions.is_empty() {
        sql.push("false");
    } else {
        sql.push(&conditions.join(" OR "));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order_by(container: &Container, levels: usize, query: &Query) -> String {
        let mut sql = Sql::default();
        Order::new(container, levels, query).push_order_by(&mut sql).unwrap();
        sql.parts().0.replace("c.", "")
    }

    #[test]
    fn the_order_is_total_and_begins_with_a_type_that_is_fixed() {
        let (plain, bucketed) = (Container::new("c"), Container::bucketed("b"));
        let latest = Query::new(Filter::of_type("x")).order_by("createdAt", Direction::Descending);
        assert_eq!(order_by(&plain, 1, &latest), " type DESC, createdAt DESC, id DESC");
        assert_eq!(order_by(&plain, 0, &latest), " type DESC, createdAt DESC, id DESC, partitionKey DESC");
        assert_eq!(order_by(&bucketed, 1, &latest), " type DESC, createdAt DESC, id DESC, bucket DESC");
        assert_eq!(order_by(&plain, 1, &Query::new(None)), " id ASC");
        assert_eq!(order_by(&plain, 1, &Query::new(Filter::of_type("x"))), " id ASC");
        assert_eq!(order_by(&bucketed, 0, &Query::new(None)), " partitionKey ASC, bucket ASC, id ASC");
        let either = Filter::Or(vec![Filter::of_type("x"), Filter::eq("a", 1)]);
        let either = Query::new(either).order_by("a", Direction::Ascending);
        assert_eq!(order_by(&plain, 1, &either), " a ASC, id ASC");
    }

    #[test]
    fn a_later_document_has_a_greater_value_or_a_greater_type() {
        let query = Query::new(None).order_by("n", Direction::Ascending);
        let order = Order::new(&Container::new("c"), 1, &query);
        let mut sql = Sql::default();
        order.push_after(&mut sql, &[json!("x"), json!("id")]).unwrap();
        let (text, parameters) = sql.parts();
        assert_eq!(
            text.replace("c.", ""),
            " AND ((IS_STRING(n) AND n > @p1) OR IS_ARRAY(n) OR IS_OBJECT(n) OR ((IS_STRING(n) AND n = @p2) \
             AND ((IS_STRING(id) AND id > @p3) OR IS_ARRAY(id) OR IS_OBJECT(id))))"
        );
        assert_eq!(parameters, [json!("x"), json!("x"), json!("id")]);
    }

    #[test]
    fn a_position_has_no_more_of_a_document_than_the_order_needs() {
        let query = Query::new(None).order_by("n", Direction::Ascending);
        let order = Order::new(&Container::new("c"), 0, &query);
        let body = json!({ "id": "a", "partitionKey": "p", "n": [1, 2], "secret": 1 });
        assert_eq!(order.position(&body), [json!([]), json!("a"), json!("p")]);
    }
}
