//! Queries: one statement a page, which starts where the last page ended instead of counting rows.

use coder_database::rules::check_query;
use coder_database::{Direction, Document, Filter, Page, PartitionKey, Query, StoreError};
use rusqlite::types::Value as Parameter;
use rusqlite::{Connection, Row, params_from_iter};

use crate::batch::parse;
use crate::continuation::Position;
use crate::error::from_sqlite;
use crate::filter::Sql;
use crate::partition::Range;
use crate::table::{Table, documents, live};

/// Bytes of JSON after which a page ends early.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// A page, ready to be read.
pub(crate) struct PageRead {
    sql: String,
    parameters: Vec<Parameter>,
    limit: usize,
    keys: usize,
    fingerprint: String,
}

/// A column of the order.
struct Column {
    expression: String,
    descending: bool,
    last: Option<Parameter>,
}

impl PageRead {
    /// `key` is the partition key as the caller gave it, to tell whose continuation it is; `None` across all.
    pub(crate) fn new(
        table: &Table,
        key: Option<&PartitionKey>,
        range: &Range,
        query: &Query,
        now: i64,
    ) -> Result<Self, StoreError> {
        check_query(query)?;
        let fingerprint = format!("{} {key:?} {}", table.container.name, query.fingerprint());
        let keys = query.order.len();
        let last = match &query.continuation {
            Some(text) => Some(Position::decode(text, &fingerprint, keys)?),
            None => None,
        };
        let fields = query.order.iter().map(|(field, _)| table.key_expression(field));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let mut sql = Sql::default();
        sql.push("SELECT c.pk, c.id, c.etag, json(c.body)");
        for field in &fields {
            sql.push(&format!(", {field}"));
        }
        push_source(&mut sql, table, range, now);
        for field in &fields {
            sql.push(&format!(" AND {field} IS NOT NULL"));
        }
        push_condition(&mut sql, table, query.filter.as_ref())?;
        let columns = columns(query, fields, range, last);
        push_after(&mut sql, &columns);
        for (at, Column { expression, descending, .. }) in columns.iter().enumerate() {
            sql.push(if at == 0 { " ORDER BY " } else { ", " });
            sql.push(expression);
            sql.push(if *descending { " DESC" } else { "" });
        }
        sql.push(" LIMIT ");
        // One more, to know whether there is another page.
        sql.bind(Parameter::Integer(i64::from(query.limit) + 1));
        let (sql, parameters) = sql.finish();
        Ok(Self { sql, parameters, limit: query.limit as usize, keys, fingerprint })
    }

    /// Reads the page.
    pub(crate) fn run(self, connection: &Connection) -> Result<Page, StoreError> {
        let mut statement = connection.prepare_cached(&self.sql).map_err(from_sqlite)?;
        let mut rows = statement.query(params_from_iter(&self.parameters)).map_err(from_sqlite)?;
        let (mut items, mut bytes, mut end) = (Vec::new(), 0, None);
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            if items.len() == self.limit || bytes > PAGE_BYTES {
                return Ok(Page { items, next: end.map(|end: Position| end.encode(&self.fingerprint)) });
            }
            let text = row.get_ref(3).and_then(|value| Ok(value.as_str()?)).map_err(from_sqlite)?;
            bytes += text.len();
            let body = parse(text)?;
            let read = || Ok(Document { id: row.get(1)?, etag: row.get(2)?, body });
            items.push(read().map_err(from_sqlite)?);
            if items.len() == self.limit || bytes > PAGE_BYTES {
                end = Some(position(row, self.keys).map_err(from_sqlite)?);
            }
        }
        Ok(Page { items, next: None })
    }
}

/// How many documents there are, ready to be counted.
pub(crate) struct Count {
    sql: String,
    parameters: Vec<Parameter>,
}

impl Count {
    pub(crate) fn new(
        table: &Table,
        range: &Range,
        filter: Option<&Filter>,
        now: i64,
    ) -> Result<Self, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT count(*)");
        push_source(&mut sql, table, range, now);
        push_condition(&mut sql, table, filter)?;
        let (sql, parameters) = sql.finish();
        Ok(Self { sql, parameters })
    }

    pub(crate) fn run(self, connection: &Connection) -> Result<usize, StoreError> {
        let mut statement = connection.prepare_cached(&self.sql).map_err(from_sqlite)?;
        let count = statement.query_row(params_from_iter(&self.parameters), |row| row.get::<_, u32>(0));
        Ok(count.map_err(from_sqlite)? as usize)
    }
}

/// Appends where live documents of the range are.
fn push_source(sql: &mut Sql, table: &Table, range: &Range, now: i64) {
    sql.push(&format!(" FROM {} c WHERE ", documents(table.container.name)));
    sql.push_range("c.pk", range);
    sql.push(" AND ");
    let now = sql.parameter(Parameter::Integer(now));
    sql.push(&live("c.exp", &now));
}

fn push_condition(sql: &mut Sql, table: &Table, filter: Option<&Filter>) -> Result<(), StoreError> {
    let Some(filter) = filter else { return Ok(()) };
    sql.push(" AND ");
    sql.push_filter(table, filter)
}

fn position(row: &Row<'_>, keys: usize) -> rusqlite::Result<Position> {
    let keys = (4..4 + keys).map(|column| row.get(column)).collect::<Result<_, _>>()?;
    Ok(Position { keys, id: row.get(1)?, pk: row.get(0)? })
}

/// The order in full: the fields, then what makes it total.
fn columns(query: &Query, fields: Vec<String>, range: &Range, last: Option<Position>) -> Vec<Column> {
    let (keys, id, pk) = match last {
        Some(Position { keys, id, pk }) => (keys, Some(id), Some(pk)),
        None => (Vec::new(), None, None),
    };
    let mut keys = keys.into_iter().map(Parameter::Blob);
    let direction = query.order.last().map_or(Direction::Ascending, |(_, direction)| *direction);
    let mut columns: Vec<Column> = fields
        .into_iter()
        .zip(&query.order)
        .map(|(expression, (_, direction))| Column {
            expression,
            descending: *direction == Direction::Descending,
            last: keys.next(),
        })
        .collect();
    let total = |expression: &str, last: Option<String>| Column {
        expression: expression.to_owned(),
        descending: direction == Direction::Descending,
        last: last.map(Parameter::Text),
    };
    match range {
        Range::One(_) => columns.push(total("c.id", id)),
        // Without an order of its own a read of the whole container follows the index.
        Range::All if columns.is_empty() => columns.extend([total("c.pk", pk), total("c.id", id)]),
        Range::Below(..) | Range::All => columns.extend([total("c.id", id), total("c.pk", pk)]),
    }
    columns
}

/// Appends the condition that a row comes after the last position. Columns of one direction compare as a row,
/// which seeks in the index; mixed ones one by one.
fn push_after(sql: &mut Sql, columns: &[Column]) {
    let Some(last) = columns.iter().map(|column| column.last.clone()).collect::<Option<Vec<_>>>() else {
        return;
    };
    let operator = |column: &Column| if column.descending { "<" } else { ">" };
    if columns.iter().all(|column| column.descending == columns[0].descending) {
        let names: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
        sql.push(&format!(" AND ({}) {} (", names.join(", "), operator(&columns[0])));
        for (at, value) in last.into_iter().enumerate() {
            sql.push(if at == 0 { "" } else { ", " });
            sql.bind(value);
        }
        sql.push(")");
        return;
    }
    sql.push(" AND (");
    let mut open = 1;
    for (at, (column, value)) in columns.iter().zip(last).enumerate() {
        let name = sql.parameter(value);
        let expression = &column.expression;
        sql.push(&format!("{expression} {} {name}", operator(column)));
        if at + 1 < columns.len() {
            sql.push(&format!(" OR ({expression} = {name} AND ("));
            open += 2;
        }
    }
    sql.push(&")".repeat(open));
}

#[cfg(test)]
mod tests {
    use coder_database::{Container, Filter};

    use super::*;
    use crate::{key, schema};

    /// How SQLite would run the query in one partition, from the last position where there is one.
    fn plan(query: Query, after: Option<Position>) -> String {
        plan_in(Some("p"), query, after)
    }

    /// The same, across all partitions where there is none.
    fn plan_in(partition: Option<&str>, query: Query, after: Option<Position>) -> String {
        let connection = Connection::open_in_memory().unwrap();
        key::register(&connection).unwrap();
        schema::create(&connection, std::path::Path::new("")).unwrap();
        let container = Container::new("c").index(["at"]).index(["status", "at"]);
        let table = Table::new(&container).unwrap();
        schema::prepare(&connection, &table).unwrap();
        let read = |query: &Query| {
            let key = partition.map(PartitionKey::single);
            let range = partition.map_or(Range::All, |partition| Range::One(partition.into()));
            PageRead::new(&table, key.as_ref(), &range, query, 0).unwrap()
        };
        let continuation = after.map(|after| after.encode(&read(&query).fingerprint));
        let page = read(&query.continue_from(continuation));
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", page.sql)).unwrap();
        let steps =
            statement.query_map(params_from_iter(page.parameters), |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    fn after(keys: usize) -> Position {
        Position { keys: vec![vec![key::STRING, b'x']; keys], id: "x".into(), pk: "p".into() }
    }

    #[test]
    fn declared_orders_read_only_their_page() {
        let latest = || Query::new(None).order_by("at", Direction::Descending);
        assert_eq!(plan(latest(), None), "SEARCH c USING INDEX i_c:at (pk=? AND k_at>?)");
        assert_eq!(
            plan(latest(), Some(after(1))),
            "SEARCH c USING INDEX i_c:at (pk=? AND k_at>? AND (k_at,id)<(?,?))"
        );
        let open = Query { filter: Some(Filter::eq("status", "open")), ..latest() };
        assert_eq!(plan(open, None), "SEARCH c USING INDEX i_c:status+at (pk=? AND k_status=? AND k_at>?)");
        let both =
            Query::new(None).order_by("status", Direction::Ascending).order_by("at", Direction::Ascending);
        assert_eq!(
            plan(both, Some(after(2))),
            "SEARCH c USING INDEX i_c:status+at (pk=? AND (k_status,k_at,id)>(?,?,?))"
        );
        assert!(plan(Query::new(None), Some(after(0))).contains("(pk=? AND id>?)"));
    }

    #[test]
    fn what_is_of_one_type_is_found_without_reading_the_rest() {
        let waiting = || Query::new(Filter::And(vec![Filter::of_type("outbox"), Filter::eq("dead", true)]));
        assert_eq!(plan_in(None, waiting(), None), "SEARCH c USING INDEX y_c (k_type=?)");
        let next = plan_in(None, waiting(), Some(after(0)));
        assert_eq!(next, "SEARCH c USING INDEX y_c (k_type=? AND (pk,id)>(?,?))");
        assert_eq!(plan(waiting(), None), "SEARCH c USING INDEX y_c (k_type=? AND pk=?)");
        let entries = plan_in(None, Query::new(Filter::of_type("audit")), None);
        assert!(!entries.contains("y_c"), "audit entries are in no index over types: {entries}");
    }
}
