//! A batch applied to what is known of its documents: either the fault that the caller is told, or at most one
//! guarded change for each document. What does not reach the service cannot be half done.

use std::collections::HashMap;

use coder_core::Timestamp;
use coder_database::rules::check_document;
use coder_database::{Container, Operation, PartitionKey, StoreError, Written, patch, vector};
use serde_json::Value;

use super::envelope::{Stored, Tag, close, is_live};

/// What is known of documents: `None` for one that is not there, no entry for one that was not asked for.
pub(super) type Known = HashMap<String, Option<Stored>>;

/// The tag of what was replaced or deleted since: it guards nothing that exists.
const SUPERSEDED: &str = "superseded";

/// What the operations themselves say of the documents they begin with: that there is none, or that there is one
/// with this tag. If it turns out wrong, the service's guards refuse the change.
pub(super) fn assumed(operations: &[Operation], now: Timestamp) -> Known {
    let mut first: HashMap<&str, &Operation> = HashMap::new();
    for operation in operations {
        first.entry(operation.id()).or_insert(operation);
    }
    let known = first.into_iter().filter_map(|(id, operation)| match operation {
        Operation::Create { .. } => Some((id.to_owned(), None)),
        Operation::Replace { if_match: Some(tag), .. } | Operation::Delete { if_match: Some(tag), .. } => {
            let Tag { etag, end } = Tag::parse(tag);
            let stored = Stored { etag, end, operation: String::new(), body: Value::Null };
            is_live(end, now).then(|| (id.to_owned(), Some(stored)))
        }
        _ => None,
    });
    known.collect()
}

/// A change as the service is asked for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Create { id: String, value: Value },
    Replace { id: String, value: Value, etag: String },
    Delete { id: String, etag: String },
}

/// A batch that can be applied.
#[derive(Debug)]
pub(super) struct Plan {
    slots: Vec<Slot>,
    steps: Vec<Step>,
}

/// One document of a batch.
#[derive(Debug)]
struct Slot {
    id: String,
    before: Option<Stored>,
    state: State,
}

#[derive(Debug)]
enum State {
    Untouched,
    Gone,
    Written { body: Value, end: Option<i64> },
}

/// What one operation of the batch did.
#[derive(Debug)]
struct Step {
    slot: usize,
    deletes: bool,
    patched: Option<Value>,
}

impl Plan {
    /// Applies the operations in order; the first that cannot be is the fault.
    pub(super) fn new(
        container: &Container,
        key: &PartitionKey,
        operations: &[Operation],
        known: &Known,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut plan = Self { slots: Vec::new(), steps: Vec::with_capacity(operations.len()) };
        for (at, operation) in operations.iter().enumerate() {
            let slot = plan.slot(operation.id(), known);
            let patched = plan.slots[slot].apply(at, operation, now, |body| {
                check_document(container, key, operation.id(), body)?;
                check_vectors(container, body)
            })?;
            plan.steps.push(Step { slot, deletes: matches!(operation, Operation::Delete { .. }), patched });
        }
        Ok(plan)
    }

    fn slot(&mut self, id: &str, known: &Known) -> usize {
        if let Some(at) = self.slots.iter().position(|slot| slot.id == id) {
            return at;
        }
        let before = known.get(id).cloned().flatten();
        self.slots.push(Slot { id: id.to_owned(), before, state: State::Untouched });
        self.slots.len() - 1
    }

    /// Whether the batch leaves a document as it is assumed to be, so that no guard finds out whether it is.
    pub(super) fn leaves_untested(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.state, State::Gone) && slot.before.is_none())
    }

    /// What to ask of the service; nothing if the batch comes to nothing.
    pub(super) fn changes(&self, operation: &str, now: Timestamp) -> Vec<Change> {
        let change = |slot: &Slot| {
            let id = slot.id.clone();
            match (&slot.state, &slot.before) {
                (State::Written { body, end }, None) => {
                    Some(Change::Create { id, value: close(body, operation, *end, now) })
                }
                (State::Written { body, end }, Some(before)) => {
                    let (value, etag) = (close(body, operation, *end, now), before.etag.clone());
                    Some(Change::Replace { id, value, etag })
                }
                (State::Gone, Some(before)) => Some(Change::Delete { id, etag: before.etag.clone() }),
                (State::Gone, None) | (State::Untouched, _) => None,
            }
        };
        self.slots.iter().filter_map(change).collect()
    }

    /// The documents that are there afterwards because of the batch.
    pub(super) fn writes(&self) -> impl Iterator<Item = &str> {
        let written = self.slots.iter().filter(|slot| matches!(slot.state, State::Written { .. }));
        written.map(|slot| slot.id.as_str())
    }

    /// The documents that the batch removes.
    pub(super) fn deletes(&self) -> impl Iterator<Item = &str> {
        let gone =
            self.slots.iter().filter(|slot| matches!(slot.state, State::Gone) && slot.before.is_some());
        gone.map(|slot| slot.id.as_str())
    }

    /// What the caller is told, with the tag that `etag` has for a written document.
    pub(super) fn written(self, etag: impl Fn(&str) -> Option<String>) -> Vec<Written> {
        let tag = |slot: &Slot| match &slot.state {
            State::Written { end, .. } => etag(&slot.id).map(|etag| Tag { etag, end: *end }.to_string()),
            State::Gone | State::Untouched => None,
        };
        let tags: Vec<String> =
            self.slots.iter().map(|slot| tag(slot).unwrap_or_else(|| SUPERSEDED.to_owned())).collect();
        let written = |step: Step| Written {
            etag: (!step.deletes).then(|| tags[step.slot].clone()),
            body: step.patched,
        };
        self.steps.into_iter().map(written).collect()
    }
}

impl Slot {
    /// Changes the document; gives it if the operation is a patch.
    fn apply(
        &mut self,
        at: usize,
        operation: &Operation,
        now: Timestamp,
        check: impl Fn(&Value) -> Result<(), StoreError>,
    ) -> Result<Option<Value>, StoreError> {
        let milliseconds = |end: &Option<Timestamp>| end.map(Timestamp::as_millisecond);
        match operation {
            Operation::Create { .. } if self.live(now).is_some() => {
                return Err(StoreError::Conflict { operation: at });
            }
            Operation::Create { body, expires_at, .. } | Operation::Upsert { body, expires_at, .. } => {
                self.state = State::Written { body: body.clone(), end: milliseconds(expires_at) };
            }
            Operation::Replace { body, expires_at, if_match, .. } => {
                self.guard(at, if_match.as_deref(), now)?;
                self.state = State::Written { body: body.clone(), end: milliseconds(expires_at) };
            }
            Operation::Delete { if_match, .. } => {
                self.guard(at, if_match.as_deref(), now)?;
                self.state = State::Gone;
            }
            Operation::Patch { patches, if_match, .. } => {
                let (body, end) = self.guard(at, if_match.as_deref(), now)?;
                let mut body = body.clone();
                patch::apply(&mut body, patches.clone())?;
                check(&body)?;
                self.state = State::Written { body: body.clone(), end };
                return Ok(Some(body));
            }
        }
        Ok(None)
    }

    fn live(&self, now: Timestamp) -> Option<(&Value, Option<i64>)> {
        let (body, end) = match (&self.state, &self.before) {
            (State::Written { body, end }, _) => (body, *end),
            (State::Untouched, Some(before)) => (&before.body, before.end),
            (State::Untouched, None) | (State::Gone, _) => return None,
        };
        is_live(end, now).then_some((body, end))
    }

    /// The live document, if it has the wanted tag. A tag from before the batch is no longer that of a document
    /// which the batch has changed.
    fn guard(
        &self,
        at: usize,
        if_match: Option<&str>,
        now: Timestamp,
    ) -> Result<(&Value, Option<i64>), StoreError> {
        let found = self.live(now).ok_or(StoreError::NotFound { operation: at })?;
        let etag = match (&self.state, &self.before) {
            (State::Untouched, Some(before)) => Some(before.etag.as_str()),
            _ => None,
        };
        match if_match {
            Some(wanted) if etag != Some(Tag::parse(wanted).etag.as_str()) => {
                Err(StoreError::PreconditionFailed { operation: at })
            }
            _ => Ok(found),
        }
    }
}

/// Whether every vector of the document is one.
pub(super) fn check_vectors(container: &Container, body: &Value) -> Result<(), StoreError> {
    container.vectors.iter().try_for_each(|field| vector::of_body(body, *field).map(drop))
}
