//! Filters as SQL. Values are always bound; field paths are checked and written as literals, because a bound
//! path uses no index.
//!
//! A condition on a missing field is null in SQL and counts as false, hence `IS NOT TRUE` instead of `NOT`.

use coder_database::audit::AuditEntry;
use coder_database::{Entity, Filter, StoreError};
use rusqlite::types::Value as Parameter;
use serde_json::Value;

use crate::key;
use crate::partition::Range;
use crate::table::{TYPE, Table, json_expression, listed};

/// SQL text and its parameters, growing together.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    text: String,
    parameters: Vec<Parameter>,
}

impl Sql {
    /// Appends fixed text.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a parameter and names it, for use in several places.
    pub(crate) fn parameter(&mut self, value: Parameter) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }

    /// Appends a parameter.
    pub(crate) fn bind(&mut self, value: Parameter) {
        let name = self.parameter(value);
        self.push(&name);
    }

    /// The text and the parameters in order.
    pub(crate) fn finish(self) -> (String, Vec<Parameter>) {
        (self.text, self.parameters)
    }

    /// Appends the condition that a partition is in the range.
    pub(crate) fn push_range(&mut self, column: &str, range: &Range) {
        match range {
            Range::One(text) => self.compare(column, "=", Parameter::Text(text.clone())),
            Range::Below(from, to) => {
                self.compare(column, ">=", Parameter::Text(from.clone()));
                self.push(" AND ");
                self.compare(column, "<", Parameter::Text(to.clone()));
            }
            Range::All => self.push("TRUE"),
        }
    }

    /// Appends a filter over the table's rows, named `c`.
    pub(crate) fn push_filter(&mut self, table: &Table, filter: &Filter) -> Result<(), StoreError> {
        match filter {
            Filter::Eq(path, value) => {
                let field = table.key_expression(path)?;
                match key::of_scalar(value) {
                    Some(key) => self.compare(&field, "=", Parameter::Blob(key)),
                    None => self.push("FALSE"),
                }
                if path == TYPE && value != AuditEntry::TYPE {
                    // True, and what lets SQLite use the index.
                    self.push(&format!(" AND {}", listed("c.")));
                }
            }
            Filter::Ne(path, value) => {
                let field = table.key_expression(path)?;
                match key::of_scalar(value) {
                    Some(key) => self.compare(&field, "<>", Parameter::Blob(key)),
                    None => self.push(&format!("{field} IS NOT NULL")),
                }
            }
            Filter::Lt(path, value) => self.push_order(table, path, "<", value)?,
            Filter::Le(path, value) => self.push_order(table, path, "<=", value)?,
            Filter::Gt(path, value) => self.push_order(table, path, ">", value)?,
            Filter::Ge(path, value) => self.push_order(table, path, ">=", value)?,
            Filter::In(path, list) => self.push_in(table, path, list)?,
            Filter::Contains(path, part) => {
                let field = table.key_expression(path)?;
                self.push("(");
                self.push_type(&field, key::STRING);
                self.push(&format!(" AND instr(substr({field}, 2), "));
                self.bind(Parameter::Blob(part.as_bytes().to_vec()));
                self.push(") > 0)");
            }
            Filter::StartsWith(path, part) => {
                let field = table.key_expression(path)?;
                let (from, mut to) = (key::of_text(part), key::of_text(part));
                // No byte of UTF-8 and no type is 255.
                if let Some(last) = to.last_mut() {
                    *last += 1;
                }
                self.push_between(&field, from, to);
            }
            Filter::ArrayContains(path, value) => {
                let field = json_expression(path)?;
                match key::of_scalar(value) {
                    Some(key) => {
                        self.push(&format!("ck1_has({field}, "));
                        self.bind(Parameter::Blob(key));
                        self.push(")");
                    }
                    None => self.push("FALSE"),
                }
            }
            Filter::IsDefined(path) => {
                let field = table.key_expression(path)?;
                self.push(&format!("{field} IS NOT NULL"));
            }
            Filter::IsNull(path) => {
                let field = table.key_expression(path)?;
                self.compare(&field, "=", Parameter::Blob(vec![key::NULL]));
            }
            Filter::And(all) => self.push_all(table, all, "TRUE", " AND ")?,
            Filter::Or(any) => self.push_all(table, any, "FALSE", " OR ")?,
            Filter::Not(filter) => {
                self.push("((");
                self.push_filter(table, filter)?;
                self.push(") IS NOT TRUE)");
            }
        }
        Ok(())
    }

    fn push_all(&mut self, table: &Table, all: &[Filter], none: &str, join: &str) -> Result<(), StoreError> {
        if all.is_empty() {
            self.push(none);
            return Ok(());
        }
        for (at, filter) in all.iter().enumerate() {
            self.push(if at == 0 { "(" } else { join });
            self.push_filter(table, filter)?;
        }
        self.push(")");
        Ok(())
    }

    fn push_in(&mut self, table: &Table, path: &str, list: &[Value]) -> Result<(), StoreError> {
        let field = table.key_expression(path)?;
        self.push(&format!("{field} IN ("));
        for (at, key) in list.iter().filter_map(key::of_scalar).enumerate() {
            self.push(if at == 0 { "" } else { ", " });
            self.bind(Parameter::Blob(key));
        }
        self.push(")");
        Ok(())
    }

    /// A comparison within the operand's type, which must be one that has an order.
    fn push_order(
        &mut self,
        table: &Table,
        path: &str,
        operator: &str,
        value: &Value,
    ) -> Result<(), StoreError> {
        let field = table.key_expression(path)?;
        let key = key::of(value);
        match key.first() {
            Some(&kind) if kind == key::NUMBER || kind == key::STRING => {
                self.push("(");
                self.push_type(&field, kind);
                self.push(" AND ");
                self.compare(&field, operator, Parameter::Blob(key));
                self.push(")");
            }
            _ => self.push("FALSE"),
        }
        Ok(())
    }

    /// The condition that the field's value is of a type.
    fn push_type(&mut self, field: &str, kind: u8) {
        self.push_between(field, vec![kind], vec![kind + 1]);
    }

    fn push_between(&mut self, field: &str, from: Vec<u8>, to: Vec<u8>) {
        self.push("(");
        self.compare(field, ">=", Parameter::Blob(from));
        self.push(" AND ");
        self.compare(field, "<", Parameter::Blob(to));
        self.push(")");
    }

    /// Appends `left operator ?`.
    pub(crate) fn compare(&mut self, left: &str, operator: &str, value: Parameter) {
        self.push(&format!("{left} {operator} "));
        self.bind(value);
    }
}
