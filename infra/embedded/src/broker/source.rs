//! Where messages wait: a group's subscription to the events, its jobs, and the dead letters of either.

use std::fmt;

use coder_queue::{Entity, Limits};

/// What dead letters' paths end in, as in Service Bus.
const DEAD_LETTERS: &str = "/$DeadLetterQueue";

/// One line of waiting messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    entity: Entity,
    group: String,
    dead: bool,
}

impl Source {
    /// The subscription of a group to the topic of events.
    pub fn subscription(group: &str) -> Self {
        Self { entity: Entity::Events, group: group.to_owned(), dead: false }
    }

    /// The messages for a group in the queue of jobs. Each group sees its own only.
    pub fn jobs(group: &str) -> Self {
        Self { entity: Entity::Jobs, group: group.to_owned(), dead: false }
    }

    /// The dead letters of this source.
    pub fn dead_letters(&self) -> Self {
        Self { dead: true, ..self.clone() }
    }

    /// The source whose dead letters these are.
    pub fn living(&self) -> Self {
        Self { dead: false, ..self.clone() }
    }

    /// Topic or queue.
    pub fn entity(&self) -> Entity {
        self.entity
    }

    /// The group whose messages these are.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Whether it holds dead letters.
    pub fn is_dead_letters(&self) -> bool {
        self.dead
    }

    /// The source whose path this is.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let (path, dead) = match path.strip_suffix(DEAD_LETTERS) {
            Some(path) => (path, true),
            None => (path, false),
        };
        let source = match path.split_once("/Subscriptions/") {
            Some((topic, group)) if topic == Entity::Events.name() => Self::subscription(group),
            _ => Self::jobs(path.strip_prefix(Entity::Jobs.name())?.strip_prefix('/')?),
        };
        Some(Self { dead, ..source })
    }
}

/// The path: for subscriptions and dead letters it is that of Service Bus.
impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entity {
            Entity::Events => write!(out, "{}/Subscriptions/{}", self.entity.name(), self.group)?,
            Entity::Jobs => write!(out, "{}/{}", self.entity.name(), self.group)?,
        }
        out.write_str(if self.dead { DEAD_LETTERS } else { "" })
    }
}

/// A group's wish for events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The group; also the subscription's name.
    pub group: String,
    /// Event types, by segments: `*` stands for one, and at the end for all that follow.
    pub patterns: Vec<String>,
    /// How it treats its messages.
    pub limits: Limits,
    /// Whether messages of one session are delivered strictly in order, one at a time.
    pub sessions: bool,
}

impl Subscription {
    /// A subscription with the usual limits and without sessions.
    pub fn new(group: &str, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let patterns = patterns.into_iter().map(Into::into).collect();
        Self { group: group.to_owned(), patterns, limits: Limits::default(), sessions: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_source() {
        for source in [Source::subscription("users"), Source::jobs("users")] {
            for source in [source.clone(), source.dead_letters()] {
                assert_eq!(Source::parse(&source.to_string()), Some(source));
            }
        }
        assert_eq!(
            Source::subscription("users").dead_letters().to_string(),
            "coder-events/Subscriptions/users/$DeadLetterQueue"
        );
        assert_eq!(Source::parse("elsewhere/users"), None);
    }
}
