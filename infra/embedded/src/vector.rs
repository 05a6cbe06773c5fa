//! The nearest vectors. They are stored at unit length, so that the dot product is the cosine similarity.

use coder_database::rules::check_field;
use coder_database::vector::unit;
use coder_database::{Filter, StoreError};
use rusqlite::types::Value as Parameter;
use rusqlite::{Connection, params_from_iter};

use crate::error::{from_sqlite, invalid};
use crate::filter::Sql;
use crate::partition::Range;
use crate::table::{Table, documents, live, vectors};

/// Answers at most.
const MOST: u32 = 1000;
/// Sums kept side by side, so that the compiler can use wide registers.
const LANES: usize = 16;

/// The vector's bytes, little-endian.
pub(crate) fn to_blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The dot product with a stored vector.
fn dot(vector: &[f32], blob: &[u8]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (numbers, bytes) in vector.chunks(LANES).zip(blob.chunks(LANES * 4)) {
        for ((sum, number), bytes) in sums.iter_mut().zip(numbers).zip(bytes.as_chunks::<4>().0) {
            *sum += number * f32::from_le_bytes(*bytes);
        }
    }
    sums.iter().sum()
}

/// A search, as SQL and the vector that it is for.
pub(crate) struct Search {
    sql: String,
    parameters: Vec<Parameter>,
    vector: Vec<f32>,
    top: usize,
}

/// Where a hit is, and how alike it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) pk: String,
    pub(crate) id: String,
    pub(crate) similarity: f32,
}

impl Search {
    pub(crate) fn new(
        table: &Table,
        range: &Range,
        field: &str,
        vector: &[f32],
        top: u32,
        filter: Option<&Filter>,
        now: i64,
    ) -> Result<Self, StoreError> {
        let name = table.container.name;
        check_field(field)?;
        let declared = table.container.vectors.iter().find(|vector| vector.field == field);
        let declared = *declared.ok_or_else(|| invalid(format!("`{name}` has no vectors in `{field}`")))?;
        if !(1..=MOST).contains(&top) {
            return Err(invalid(format!("a search has 1 to {MOST} answers, not {top}")));
        }
        let mut sql = Sql::default();
        sql.push(&format!("SELECT v.pk, v.id, v.emb FROM {} v", vectors(name)));
        if filter.is_some() {
            sql.push(&format!(" JOIN {} c ON c.pk = v.pk AND c.id = v.id", documents(name)));
        }
        sql.push(" WHERE v.field = ");
        sql.bind(Parameter::Text(field.to_owned()));
        sql.push(" AND ");
        sql.push_range("v.pk", range);
        sql.push(" AND ");
        let now = sql.parameter(Parameter::Integer(now));
        sql.push(&live("v.exp", &now));
        if let Some(filter) = filter {
            sql.push(" AND ");
            sql.push_filter(table, filter)?;
        }
        let (sql, parameters) = sql.finish();
        Ok(Self { sql, parameters, vector: unit(vector, declared)?, top: top as usize })
    }

    /// The nearest, most alike first, ties by id.
    pub(crate) fn run(self, connection: &Connection) -> Result<Vec<Hit>, StoreError> {
        let mut statement = connection.prepare_cached(&self.sql).map_err(from_sqlite)?;
        let mut rows = statement.query(params_from_iter(self.parameters)).map_err(from_sqlite)?;
        let mut best: Vec<Hit> = Vec::with_capacity(self.top + 1);
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            let blob = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).map_err(from_sqlite)?;
            let similarity = dot(&self.vector, blob);
            if best.len() == self.top && best.last().is_some_and(|last| similarity < last.similarity) {
                continue;
            }
            let read = || Ok(Hit { pk: row.get(0)?, id: row.get(1)?, similarity });
            let hit = read().map_err(from_sqlite)?;
            let at = best.partition_point(|other| other.before(&hit));
            best.insert(at, hit);
            best.truncate(self.top);
        }
        Ok(best)
    }
}

impl Hit {
    fn before(&self, other: &Self) -> bool {
        let by_id = || (&self.id, &self.pk).cmp(&(&other.id, &other.pk));
        other.similarity.total_cmp(&self.similarity).then_with(by_id).is_lt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dot_product_takes_any_length() {
        for length in [1, 3, 15, 16, 17, 48, 100] {
            let numbers: Vec<f32> = (0..length).map(|number: u16| f32::from(number) - 7.5).collect();
            let plain: f32 = numbers.iter().map(|number| number * number).sum();
            assert!((dot(&numbers, &to_blob(&numbers)) - plain).abs() <= plain * 1e-6, "{length}");
        }
    }
}
