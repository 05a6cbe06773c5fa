//! A copy in memory of the vectors of one scope, with 8 bits a number.
//!
//! A row of vectors is never changed and its number never comes again, so that newer rows are all that a copy lacks.
//! Rows that are gone stay in it for a while: whoever uses the copy asks SQLite for every row that it answers with.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coder_database::StoreError;
use rusqlite::types::Value as Parameter;
use rusqlite::{Connection, params_from_iter};

use super::codes::{Code, Wanted, encode, stride};
use super::scope::Scope;
use super::to_numbers;
use crate::error::from_sqlite;
use crate::filter::Sql;
use crate::table::vectors;

/// Rows that are kept in one piece, so that a copy grows without being moved.
const BLOCK: usize = 1024;
/// Rows up to which a copy of vectors is not worth being read anew.
const SMALL: usize = 1024;
/// Rows of a copy from which on a second thread is worth its start.
const LARGE: usize = 16 * 1024;

/// The copy of a scope.
#[derive(Debug)]
pub(crate) struct VectorCopy {
    blocks: Vec<Block>,
    stride: usize,
    rows: usize,
    /// The newest row of the container that was looked at.
    seen: i64,
    /// Rows when the copy was read as a whole.
    whole: usize,
    /// Rows since then that were asked for in vain.
    missed: AtomicUsize,
}

#[derive(Debug, Default)]
struct Block {
    rows: Vec<Row>,
    codes: Vec<i8>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    number: i64,
    expires: i64,
    code: Code,
}

/// A row that may be a hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    /// The row.
    pub(crate) number: i64,
    /// It is not more alike.
    pub(crate) bound: f32,
}

/// The newest row of a container, or zero.
pub(crate) fn newest(snapshot: &Connection, container: &str) -> Result<i64, StoreError> {
    let sql = format!("SELECT coalesce(max(n), 0) FROM {}", vectors(container));
    let mut statement = snapshot.prepare_cached(&sql).map_err(from_sqlite)?;
    statement.query_row([], |row| row.get(0)).map_err(from_sqlite)
}

impl VectorCopy {
    /// An empty copy of vectors with so many numbers.
    pub(crate) fn new(dimensions: usize) -> Self {
        let (blocks, missed) = (Vec::new(), AtomicUsize::new(0));
        Self { blocks, stride: stride(dimensions), rows: 0, seen: 0, whole: 0, missed }
    }

    /// Rows, those that are gone included.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of so many rows.
    pub(crate) fn bytes(&self, rows: usize) -> usize {
        rows * (self.stride + size_of::<Row>())
    }

    /// Whether it lacks nothing, given the newest row, and holds little that is gone.
    pub(crate) fn is_current(&self, newest: i64) -> bool {
        newest <= self.seen && !self.is_worn()
    }

    /// To be called for a candidate that is not there.
    pub(crate) fn miss(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// Asking in vain costs about as much as reading a row, and memory is to be bounded by what is there.
    fn is_worn(&self) -> bool {
        let missed = self.missed.load(Ordering::Relaxed);
        missed > self.rows.max(SMALL) / 2 || self.rows > 2 * self.whole.max(SMALL)
    }

    pub(crate) fn clear(&mut self) {
        (self.blocks, self.rows, self.seen, self.whole) = (Vec::new(), 0, 0, 0);
        *self.missed.get_mut() = 0;
    }

    /// Reads what it lacks, if `reserve` grants the bytes that it will have; else it is empty, and the answer no.
    pub(crate) fn update(
        &mut self,
        snapshot: &Connection,
        scope: &Scope,
        reserve: impl FnOnce(usize) -> bool,
    ) -> Result<bool, StoreError> {
        if self.is_worn() {
            self.clear();
        }
        let newest = newest(snapshot, scope.container)?;
        let more = self.count(snapshot, scope)?;
        if !reserve(self.bytes(self.rows + more)) {
            self.clear();
            return Ok(false);
        }
        // The rows come in any order: half of them are worth nothing.
        self.read(snapshot, scope).inspect_err(|_| self.clear())?;
        if self.seen == 0 {
            self.whole = self.rows;
        }
        self.seen = self.seen.max(newest);
        Ok(true)
    }

    fn count(&self, snapshot: &Connection, scope: &Scope) -> Result<usize, StoreError> {
        let (sql, parameters) = self.newer("count(*)", scope);
        let mut statement = snapshot.prepare_cached(&sql).map_err(from_sqlite)?;
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let count = statement.query_row(params_from_iter(parameters), count).map_err(from_sqlite)?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    fn read(&mut self, snapshot: &Connection, scope: &Scope) -> Result<(), StoreError> {
        let (sql, parameters) = self.newer("v.n, v.exp, v.emb", scope);
        let mut statement = snapshot.prepare_cached(&sql).map_err(from_sqlite)?;
        let mut rows = statement.query(params_from_iter(parameters)).map_err(from_sqlite)?;
        let mut vector = Vec::with_capacity(self.stride);
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            let expires: Option<i64> = row.get(1).map_err(from_sqlite)?;
            let number = row.get(0).map_err(from_sqlite)?;
            let blob = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).map_err(from_sqlite)?;
            vector.clear();
            vector.extend(to_numbers(blob));
            // Another program may have declared another size in the meantime.
            if stride(vector.len()) == self.stride {
                self.push(number, expires.unwrap_or(i64::MAX), &vector);
            }
        }
        Ok(())
    }

    fn push(&mut self, number: i64, expires: i64, vector: &[f32]) {
        if self.rows.is_multiple_of(BLOCK) {
            self.blocks.push(Block::default());
        }
        if let Some(block) = self.blocks.last_mut() {
            let code = encode(vector, &mut block.codes);
            block.rows.push(Row { number, expires, code });
            self.rows += 1;
        }
    }

    /// The statement over the scope's rows that the copy has not seen.
    fn newer(&self, what: &str, scope: &Scope) -> (String, Vec<Parameter>) {
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {what} FROM {} v WHERE ", vectors(scope.container)));
        scope.push(&mut sql);
        sql.push(" AND ");
        sql.compare("v.n", ">", Parameter::Integer(self.seen));
        sql.finish()
    }

    /// The rows of the highest bounds, highest first, at most so many. None that has expired. A large copy is read by
    /// two threads, since one does not get at memory as fast as memory is.
    pub(crate) fn candidates(&self, wanted: &Wanted, now: i64, most: usize) -> Vec<Candidate> {
        let of = |blocks: &[Block]| self.candidates_of(blocks, wanted, now, most);
        let half = if self.rows < LARGE { 0 } else { self.blocks.len() / 2 };
        let (some, rest) = self.blocks.split_at(half);
        let mut found = thread::scope(|scope| {
            let helper = (half > 0).then(|| thread::Builder::new().spawn_scoped(scope, || of(some)));
            let mut found = of(rest);
            found.extend(match helper {
                None => Vec::new(),
                Some(Ok(helper)) => helper.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Some(Err(_)) => of(some),
            });
            found
        });
        found.sort_unstable_by(Candidate::order);
        found.truncate(most);
        found
    }

    /// The same of some blocks, in any order and perhaps more of them.
    fn candidates_of(&self, blocks: &[Block], wanted: &Wanted, now: i64, most: usize) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::with_capacity(2 * most);
        let mut least = f32::NEG_INFINITY;
        for block in blocks {
            for (row, codes) in block.rows.iter().zip(block.codes.chunks_exact(self.stride)) {
                let bound = wanted.bound(codes, row.code);
                if bound < least || row.expires <= now {
                    continue;
                }
                found.push(Candidate { number: row.number, bound });
                if found.len() == 2 * most {
                    found.select_nth_unstable_by(most - 1, Candidate::order);
                    found.truncate(most);
                    least = found[most - 1].bound;
                }
            }
        }
        found
    }
}

impl Candidate {
    /// A total order, so that more candidates begin with those that fewer would be.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.bound.total_cmp(&self.bound).then(self.number.cmp(&other.number))
    }
}
