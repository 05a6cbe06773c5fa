//! A query: filter, order, page size, position.

use crate::document::Document;
use crate::filter::Filter;

/// Which way a field is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Least first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// A query over one container.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which documents; `None` is all.
    pub filter: Option<Filter>,
    /// At most two fields, then the id in the direction of the last. Documents that lack a sort field are left
    /// out. Without a field the order is by id.
    pub order: Vec<(String, Direction)>,
    /// Documents a page, 1–1,000.
    pub limit: u32,
    /// Where the last page ended: the provider's own word for it.
    pub continuation: Option<String>,
}

/// A page of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The documents.
    pub items: Vec<Document>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<String>,
}

impl Query {
    /// A query of the first 50 documents that pass the filter, by id.
    pub fn new(filter: impl Into<Option<Filter>>) -> Self {
        Self { filter: filter.into(), order: Vec::new(), limit: 50, continuation: None }
    }

    /// Sorts by a field, after those named before.
    pub fn order_by(mut self, field: impl Into<String>, direction: Direction) -> Self {
        self.order.push((field.into(), direction));
        self
    }

    /// Sets the page size.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Goes on where a page ended.
    pub fn continue_from(mut self, continuation: Option<String>) -> Self {
        self.continuation = continuation;
        self
    }

    /// Text that is the same for equal queries but for the page: the fingerprint of a cursor.
    pub fn fingerprint(&self) -> String {
        format!("{:?} {:?}", self.filter, self.order)
    }
}
