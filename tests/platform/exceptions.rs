//! The reviewed list of operations that a proof leaves out.

use std::collections::BTreeSet;

const LIST: &str = include_str!("exceptions.txt");

/// The operations that are excused from a proof, each of which must be used.
#[derive(Debug)]
pub(crate) struct Exceptions {
    proof: &'static str,
    excused: BTreeSet<&'static str>,
    used: BTreeSet<&'static str>,
}

impl Exceptions {
    /// The list for one proof.
    pub(crate) fn of(proof: &'static str) -> Self {
        let lines = LIST.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let mut excused = BTreeSet::new();
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let (kind, operation, reason) = (words.next(), words.next(), words.next());
            assert!(reason.is_some_and(|reason| reason.len() > 10), "no reason: {line}");
            if kind == Some(proof) {
                assert!(excused.insert(operation.unwrap()), "twice: {line}");
            }
        }
        Self { proof, excused, used: BTreeSet::new() }
    }

    /// Whether the operation is left out.
    pub(crate) fn excuses(&mut self, operation: &str) -> bool {
        let excused = self.excused.get(operation).copied();
        self.used.extend(excused);
        excused.is_some()
    }

    /// Fails on a line that excuses nothing.
    pub(crate) fn finish(self) {
        let unused: Vec<_> = self.excused.difference(&self.used).collect();
        assert!(unused.is_empty(), "these excuse nothing in `{}`: {unused:?}", self.proof);
    }
}
