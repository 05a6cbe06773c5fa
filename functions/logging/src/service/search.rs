//! Searching entries: month by month along the heads, in the order of the numbers, page by page.

use std::ops::ControlFlow;
use std::time::Duration;

use coder_core::{Code, Failure, Result};
use coder_database::{Direction, Document, Filter, Query, Record};
use jiff::SignedDuration;
use serde_json::Value;

use super::Logging;
use super::filter::{EntryFilter, MAX_LATE_DAYS, Span, Words};
use crate::model::{CONTAINER, Entry, Head, Month, Trail};

/// How long a caller's search may take.
pub const LONGEST: Duration = Duration::from_secs(5);
/// Entries that are read at once.
const PAGE: u32 = 500;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// Whose entries.
    pub trail: Trail,
    /// When the acts were done.
    pub span: Span,
    /// What the store evaluates.
    pub filter: Filter,
    /// Words that must stand in message or metadata.
    pub words: Words,
    /// Which way; latest first, or oldest first.
    pub direction: Direction,
    /// The least number.
    pub from_seq: u64,
    /// The greatest number.
    pub to_seq: u64,
}

impl Search {
    /// Everything that passes the filter, latest first.
    pub fn new(trail: Trail, span: Span, filter: &EntryFilter) -> Self {
        Self {
            trail,
            span,
            filter: filter.stored(),
            words: filter.words(),
            direction: Direction::Descending,
            from_seq: 1,
            to_seq: u64::MAX,
        }
    }

    /// Every entry with these numbers, oldest first.
    pub fn numbered(trail: Trail, from_seq: u64, to_seq: u64) -> Self {
        let everything = Self::new(trail, Span::ALL, &EntryFilter::default());
        Self { direction: Direction::Ascending, from_seq, to_seq, ..everything }
    }

    /// Oldest first.
    pub fn oldest_first(self) -> Self {
        Self { direction: Direction::Ascending, ..self }
    }

    /// With one more condition.
    pub fn only(self, filter: Filter) -> Self {
        Self { filter: self.filter.and(filter), ..self }
    }

    /// Starts after the entry with this number.
    pub fn after(mut self, seq: u64) -> Self {
        match self.direction {
            Direction::Ascending => self.from_seq = self.from_seq.max(seq.saturating_add(1)),
            Direction::Descending => self.to_seq = self.to_seq.min(seq.saturating_sub(1)),
        }
        self
    }

    /// Whether a month can have such entries: an act is recorded some weeks after it at the latest.
    fn touches(&self, head: &Head) -> bool {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let first = self.span.from.saturating_sub(days(1)).map_or(Month::of(self.span.from), Month::of);
        let last = self.span.to.saturating_add(days(MAX_LATE_DAYS)).map(Month::of);
        head.month >= first
            && last.is_ok_and(|last| head.month <= last)
            && head.first_seq <= self.to_seq
            && head.last_seq >= self.from_seq
    }

    fn holds(&self, entry: &Value) -> bool {
        let time = entry["time"].as_str().and_then(|time| time.parse().ok());
        (self.span == Span::ALL || time.is_some_and(|time| self.span.holds(time)))
            && self.words.stand_in(entry)
    }

    fn query(&self) -> Query {
        let filter = Filter::of_type("entry")
            .and(Filter::Ge("seq".into(), self.from_seq.into()))
            .and(Filter::Le("seq".into(), self.to_seq.min(1 << 53).into()))
            .and(self.filter.clone());
        let filter = if self.span == Span::ALL { filter } else { filter.and(self.span.stored()) };
        Query::new(filter).order_by("seq", self.direction).limit(PAGE)
    }
}

impl Logging {
    /// Shows every entry that is found, as it is stored, until it is enough.
    pub async fn scan(
        &self,
        search: &Search,
        visit: &mut (dyn FnMut(Document) -> ControlFlow<()> + Send),
    ) -> Result<()> {
        let mut heads = self.heads_of(search.trail).await?;
        if search.direction == Direction::Descending {
            heads.reverse();
        }
        for head in heads.iter().filter(|head| search.touches(&head.data)) {
            let key = search.trail.month(head.data.month).key();
            let mut query = search.query();
            loop {
                let page = self.runtime.store.query(CONTAINER, &key, &query).await?;
                for document in page.items {
                    if search.holds(&document.body) && visit(document).is_break() {
                        return Ok(());
                    }
                }
                match page.next {
                    Some(next) => query.continuation = Some(next),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// The first so many entries, as they are stored.
    pub async fn first(&self, search: &Search, most: usize) -> Result<Vec<Document>> {
        let mut found = Vec::new();
        if most > 0 {
            self.scan(search, &mut |document| {
                found.push(document);
                if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .await?;
        }
        Ok(found)
    }

    /// A page for a caller: the entries, and the number of the last if there are more. `422` if it takes too long.
    pub async fn page(&self, search: &Search, limit: usize) -> Result<(Vec<Record<Entry>>, Option<u64>)> {
        let found = in_time(self.first(search, limit + 1)).await?;
        let more = found.len() > limit;
        let entries = found.into_iter().take(limit).map(Record::from_document);
        let entries: Vec<Record<Entry>> = entries.collect::<Result<_>>()?;
        let last = entries.last().map(|entry| entry.data.seq).filter(|_| more);
        Ok((entries, last))
    }
}

/// Ends a caller's search that takes too long.
pub async fn in_time<T>(search: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(LONGEST, search).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let detail = "The search took longer than 5 s; narrow its range or add filters.";
            Err(Failure::problem(Code::NarrowTheRange, detail))
        }
    }
}
