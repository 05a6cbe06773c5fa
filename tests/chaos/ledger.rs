//! What the clients know: what was acknowledged, what may have happened, and what cannot have.

use std::collections::BTreeMap;

/// What clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Use that a build server reports.
    Build,
    /// A project.
    Project,
    /// A secret.
    Secret,
    /// A message to a person.
    Message,
    /// An entry of the audit log.
    Entry,
    /// A file of the audit log; it has no name but its id.
    Export,
}

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was never sent whole.
    Never,
    /// It was sent; nobody read the answer and nobody asked again.
    Possible,
    /// It was acknowledged under this id.
    Certain(String),
}

/// Everything that was asked for, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// What is known of each thing.
    pub(crate) things: BTreeMap<(Kind, String), Fate>,
    /// Answers that no client should ever get.
    pub(crate) strange: Vec<String>,
}

impl Ledger {
    /// Notes what has become known. An acknowledgement stands; a second one has to say the same.
    pub(crate) fn note(&mut self, kind: Kind, name: &str, fate: Fate) {
        let known = self.things.entry((kind, name.to_owned())).or_insert(Fate::Never);
        match (&*known, &fate) {
            (Fate::Certain(first), Fate::Certain(second)) if first != second => {
                self.strange.push(format!("{kind:?} {name} was acknowledged as {first} and as {second}"));
            }
            (Fate::Certain(_), _) | (Fate::Possible, Fate::Never) => {}
            _ => *known = fate,
        }
    }

    /// How many of a kind were acknowledged.
    pub(crate) fn certain(&self, wanted: Kind) -> usize {
        self.things
            .iter()
            .filter(|((kind, _), fate)| *kind == wanted && matches!(fate, Fate::Certain(_)))
            .count()
    }
}

/// Seconds of a build, which its name tells.
pub(crate) fn seconds(build: &str) -> u64 {
    let number: u64 = build.trim_start_matches("build-").parse().unwrap_or_default();
    number % 97 + 1
}
