//! The best of what a search has seen.

/// Where a hit is, and how alike it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) pk: String,
    pub(crate) id: String,
    pub(crate) similarity: f32,
}

/// The most alike, at most so many, ties by id.
#[derive(Debug)]
pub(crate) struct Hits {
    best: Vec<Hit>,
    top: usize,
}

impl Hits {
    pub(crate) fn new(top: usize) -> Self {
        Self { best: Vec::with_capacity(top + 1), top }
    }

    /// Whether something so alike could be one of them.
    pub(crate) fn takes(&self, similarity: f32) -> bool {
        self.best.len() < self.top || self.best.last().is_none_or(|last| similarity >= last.similarity)
    }

    pub(crate) fn put(&mut self, hit: Hit) {
        let at = self.best.partition_point(|other| other.before(&hit));
        self.best.insert(at, hit);
        self.best.truncate(self.top);
    }

    /// The most alike first.
    pub(crate) fn into_vec(self) -> Vec<Hit> {
        self.best
    }
}

impl Hit {
    fn before(&self, other: &Self) -> bool {
        let by_id = || (&self.id, &self.pk).cmp(&(&other.id, &other.pk));
        other.similarity.total_cmp(&self.similarity).then_with(by_id).is_lt()
    }
}
