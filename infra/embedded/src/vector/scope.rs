//! Which vectors a search is over.

use coder_database::VectorField;
use rusqlite::types::Value as Parameter;

use crate::filter::Sql;
use crate::partition::Range;

/// The vectors of one field in some partitions of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) container: &'static str,
    field: &'static str,
    dimensions: u32,
    range: Range,
}

impl Scope {
    pub(crate) fn new(container: &'static str, declared: VectorField, range: &Range) -> Self {
        let VectorField { field, dimensions } = declared;
        Self { container, field, dimensions, range: range.clone() }
    }

    /// Numbers of a vector.
    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions as usize
    }

    /// Appends the condition on the rows, named `v`.
    pub(crate) fn push(&self, sql: &mut Sql) {
        sql.push_range("v.pk", &self.range);
        sql.push(" AND ");
        sql.compare("v.field", "=", Parameter::Text(self.field.to_owned()));
    }
}
