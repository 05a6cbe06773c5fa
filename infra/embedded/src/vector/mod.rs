//! The nearest vectors. They are stored at unit length, so that the dot product is the cosine similarity.
//!
//! A copy in memory with 8 bits a number says which could be the nearest; the stored vectors decide. What the copy says
//! of a vector is never too little, so that the answer is the one that reading all vectors would give.

mod codes;
mod copies;
mod copy;
mod hits;
mod scope;

use std::sync::{PoisonError, RwLockWriteGuard};

use coder_database::rules::check_field;
use coder_database::vector::unit;
use coder_database::{Filter, StoreError};
use rusqlite::types::Value as Parameter;
use rusqlite::{Connection, Transaction, params_from_iter};

use crate::error::{from_sqlite, invalid};
use crate::filter::Sql;
use crate::partition::Range;
use crate::table::{Table, documents, live, vectors};
use codes::Wanted;
pub(crate) use copies::Copies;
use copies::Shared;
use copy::{VectorCopy, newest};
use hits::{Hit, Hits};
use scope::Scope;

/// Answers at most.
const MOST: u32 = 1000;
/// Sums kept side by side, so that the compiler can use wide registers.
const LANES: usize = 16;
/// Candidates that are looked at first, beyond a few for each answer, and how many times more each time after.
const FIRST: usize = 64;
const MORE: usize = 8;
/// Reading one row after the other costs several times what it costs in a scan: beyond this part of all, a scan.
const PART: usize = 8;

/// The vector's bytes, little-endian.
pub(crate) fn to_blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn to_numbers(blob: &[u8]) -> impl Iterator<Item = f32> {
    blob.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// The dot product with a stored vector.
fn dot(vector: &[f32], blob: &[u8]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (numbers, bytes) in vector.chunks(LANES).zip(blob.chunks(LANES * 4)) {
        for ((sum, number), other) in sums.iter_mut().zip(numbers).zip(to_numbers(bytes)) {
            *sum += number * other;
        }
    }
    sums.iter().sum()
}

/// A search.
pub(crate) struct Search {
    scope: Scope,
    scan: (String, Vec<Parameter>),
    /// The same for one row, whose number is the last parameter; says whether it passes the filter.
    look: (String, Vec<Parameter>),
    vector: Vec<f32>,
    top: usize,
    now: i64,
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
        let scope = Scope::new(name, declared, range);
        let scan = statement(table, &scope, filter, now, false)?;
        let look = statement(table, &scope, filter, now, true)?;
        Ok(Self { scope, scan, look, vector: unit(vector, declared)?, top: top as usize, now })
    }

    /// The nearest, most alike first, ties by id, and the snapshot in which they are.
    pub(crate) fn run<'c>(
        &self,
        connection: &'c Connection,
        copies: &Copies,
    ) -> Result<(Transaction<'c>, Vec<Hit>), StoreError> {
        let begin = || connection.unchecked_transaction().map_err(from_sqlite);
        if let Some(copy) = copies.of(&self.scope) {
            // The lock before the snapshot: so no copy has ever lost what an older snapshot still holds.
            let held = copy.read().unwrap_or_else(PoisonError::into_inner);
            let snapshot = begin()?;
            if held.is_current(newest(&snapshot, self.scope.container)?) {
                let hits = self.nearest(&snapshot, &held)?;
                return Ok((snapshot, hits));
            }
            drop((snapshot, held));
            let snapshot_and_hits = self.update_and_run(begin, copies, &copy)?;
            if let Some(found) = snapshot_and_hits {
                return Ok(found);
            }
        }
        let snapshot = begin()?;
        let hits = self.scan(&snapshot)?;
        Ok((snapshot, hits))
    }

    /// The same after reading what the copy lacks; `None` if there is no room for that.
    fn update_and_run<'c>(
        &self,
        begin: impl Fn() -> Result<Transaction<'c>, StoreError>,
        copies: &Copies,
        copy: &Shared,
    ) -> Result<Option<(Transaction<'c>, Vec<Hit>)>, StoreError> {
        let mut held = copy.write().unwrap_or_else(PoisonError::into_inner);
        let snapshot = begin()?;
        if !held.update(&snapshot, &self.scope, |bytes| copies.reserve(&self.scope, copy, bytes))? {
            return Ok(None);
        }
        let held = RwLockWriteGuard::downgrade(held);
        let hits = self.nearest(&snapshot, &held)?;
        Ok(Some((snapshot, hits)))
    }

    /// The nearest by way of a copy that lacks nothing.
    fn nearest(&self, snapshot: &Connection, copy: &VectorCopy) -> Result<Vec<Hit>, StoreError> {
        let wanted = Wanted::new(&self.vector);
        let (sql, parameters) = &self.look;
        let mut statement = snapshot.prepare_cached(sql).map_err(from_sqlite)?;
        for (at, parameter) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, parameter).map_err(from_sqlite)?;
        }
        let mut hits = Hits::new(self.top);
        let (mut most, mut seen) = (FIRST + 4 * self.top, 0);
        loop {
            let candidates = copy.candidates(&wanted, self.now, most);
            for candidate in candidates.iter().skip(seen) {
                if !hits.takes(candidate.bound) {
                    return Ok(hits.into_vec());
                }
                statement.raw_bind_parameter(parameters.len() + 1, candidate.number).map_err(from_sqlite)?;
                let mut rows = statement.raw_query();
                match rows.next().map_err(from_sqlite)? {
                    Some(row) if row.get(3).map_err(from_sqlite)? => self.consider(row, &mut hits)?,
                    Some(_) => {}
                    None => copy.miss(),
                }
            }
            if candidates.len() < most {
                return Ok(hits.into_vec());
            }
            seen = most;
            most *= MORE;
            if most > copy.len() / PART {
                return self.scan(snapshot);
            }
        }
    }

    /// The nearest by reading every vector.
    fn scan(&self, snapshot: &Connection) -> Result<Vec<Hit>, StoreError> {
        let (sql, parameters) = &self.scan;
        let mut statement = snapshot.prepare_cached(sql).map_err(from_sqlite)?;
        let mut rows = statement.query(params_from_iter(parameters)).map_err(from_sqlite)?;
        let mut hits = Hits::new(self.top);
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            self.consider(row, &mut hits)?;
        }
        Ok(hits.into_vec())
    }

    fn consider(&self, row: &rusqlite::Row<'_>, hits: &mut Hits) -> Result<(), StoreError> {
        let blob = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).map_err(from_sqlite)?;
        let similarity = dot(&self.vector, blob);
        if hits.takes(similarity) {
            let read = || Ok(Hit { pk: row.get(0)?, id: row.get(1)?, similarity });
            hits.put(read().map_err(from_sqlite)?);
        }
        Ok(())
    }
}

/// The statement for all rows of the scope that count, or for one.
fn statement(
    table: &Table,
    scope: &Scope,
    filter: Option<&Filter>,
    now: i64,
    one: bool,
) -> Result<(String, Vec<Parameter>), StoreError> {
    let name = table.container.name;
    let mut sql = Sql::default();
    sql.push("SELECT v.pk, v.id, v.emb");
    if one {
        sql.push(", (");
        push_filter(&mut sql, table, filter)?;
        sql.push(") IS TRUE");
    }
    sql.push(&format!(" FROM {} v", vectors(name)));
    if filter.is_some() {
        sql.push(&format!(" JOIN {} c ON c.pk = v.pk AND c.id = v.id", documents(name)));
    }
    sql.push(" WHERE ");
    scope.push(&mut sql);
    sql.push(" AND ");
    let now = sql.parameter(Parameter::Integer(now));
    sql.push(&live("v.exp", &now));
    if one {
        let (text, parameters) = sql.finish();
        return Ok((format!("{text} AND v.n = ?{}", parameters.len() + 1), parameters));
    }
    sql.push(" AND ");
    push_filter(&mut sql, table, filter)?;
    Ok(sql.finish())
}

fn push_filter(sql: &mut Sql, table: &Table, filter: Option<&Filter>) -> Result<(), StoreError> {
    match filter {
        Some(filter) => sql.push_filter(table, filter),
        None => {
            sql.push("TRUE");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
