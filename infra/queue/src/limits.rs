//! How brokers treat messages: the one of this machine, and the one that the deployment makes from the manifest.

use std::time::Duration;

use crate::Entity;

/// Two messages with one id are one within so long a time: what a process published right before it died is
/// published again.
pub const DUPLICATE_WINDOW: Duration = Duration::from_hours(1);

/// How a source of messages treats them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a received message is locked; at most five minutes.
    pub lock: Duration,
    /// Deliveries after which a message is a dead letter.
    pub deliveries: u32,
    /// How long a message waits before it is a dead letter.
    pub ttl: Duration,
}

impl Limits {
    /// Those of a group's events.
    pub const EVENTS: Self =
        Self { lock: Duration::from_mins(1), deliveries: 10, ttl: Duration::from_hours(14 * 24) };

    /// Those of a group's jobs. Their messages wait as long as the record of a job is kept; it says how often a job
    /// is tried, so the count only bounds what no handler could read.
    pub const JOBS: Self =
        Self { lock: Duration::from_mins(5), deliveries: 10, ttl: Duration::from_hours(30 * 24) };

    /// Those of whatever is sent there.
    pub const fn of(entity: Entity) -> Self {
        match entity {
            Entity::Events => Self::EVENTS,
            Entity::Jobs => Self::JOBS,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::EVENTS
    }
}
