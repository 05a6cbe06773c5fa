//! The copies of a store's vectors, and the memory that they may take together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::copy::VectorCopy;
use super::scope::Scope;

/// Bytes that a copy of vectors counts at least, so that their number is bounded too.
const LEAST: usize = 16 * 1024;

/// A copy that several searches share.
pub(crate) type Shared = Arc<RwLock<VectorCopy>>;

/// All copies. Each is made at the first search of its scope, and the one that was not used for the longest time goes
/// when there is no room.
#[derive(Debug)]
pub(crate) struct Copies {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    copies: HashMap<Scope, Entry>,
    bytes: usize,
    /// Uses so far.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    copy: Shared,
    bytes: usize,
    used: u64,
}

impl Copies {
    /// Copies that take so many bytes at most, but for one that searches still use when it has to go.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default() }
    }

    /// The copy of a scope, which may be empty as yet; `None` where there is no room for any.
    pub(crate) fn of(&self, scope: &Scope) -> Option<Shared> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        let used = state.uses;
        if let Some(entry) = state.copies.get_mut(scope) {
            entry.used = used;
            return Some(Arc::clone(&entry.copy));
        }
        if !state.make_room(LEAST, self.most, scope) {
            return None;
        }
        let copy = Arc::new(RwLock::new(VectorCopy::new(scope.dimensions())));
        state.bytes += LEAST;
        state.copies.insert(scope.clone(), Entry { copy: Arc::clone(&copy), bytes: LEAST, used });
        Some(copy)
    }

    /// Whether the copy may grow to so many bytes.
    pub(crate) fn reserve(&self, scope: &Scope, copy: &Shared, bytes: usize) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // One that had to go in the meantime is nobody's any more.
        let Some(entry) = state.copies.get_mut(scope).filter(|entry| Arc::ptr_eq(&entry.copy, copy)) else {
            return false;
        };
        let before = std::mem::replace(&mut entry.bytes, LEAST);
        state.bytes -= before - LEAST;
        let granted = state.make_room(bytes, self.most, scope);
        if granted && let Some(entry) = state.copies.get_mut(scope) {
            entry.bytes += bytes;
            state.bytes += bytes;
        }
        granted
    }

    /// Bytes that are reserved.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().unwrap().bytes
    }
}

impl State {
    /// Drops what was not used for long until so many more bytes fit; the scope itself stays.
    fn make_room(&mut self, bytes: usize, most: usize, scope: &Scope) -> bool {
        let kept = self.copies.get(scope).map_or(0, |entry| entry.bytes);
        if kept.saturating_add(bytes) > most {
            return false;
        }
        while self.bytes + bytes > most {
            let others = self.copies.iter().filter(|(other, _)| *other != scope);
            let Some(oldest) = others.min_by_key(|(_, entry)| entry.used).map(|(oldest, _)| oldest.clone())
            else {
                return false;
            };
            if let Some(gone) = self.copies.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
        true
    }
}
