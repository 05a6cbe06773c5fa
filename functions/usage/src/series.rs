//! Series: whose use a counter counts. One event is counted in the organization's, its team's, its project's and its
//! person's series, in that of its price, and in those of quotas with dimension filters.

use std::fmt;

use coder_core::{ProjectId, TeamId, UserId};

use crate::model::PriceId;
use crate::period::{Granularity, Month};

/// How many counters share the organization's use, so that no single document takes every write.
pub const SHARDS: u8 = 8;

/// Whose use is counted. `None` stands for events without such a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields' names say all; the variants are documented")]
pub enum Whose {
    /// Everybody's.
    Organization,
    /// A team's.
    Team(Option<TeamId>),
    /// A project's.
    Project(Option<ProjectId>),
    /// A person's.
    User(Option<UserId>),
    /// What a quota with dimension filters counts, of one person if each has it.
    Quota { id: String, user: Option<UserId> },
    /// What was rated at a price; what had none.
    Price(Option<PriceId>),
    /// What was rated at a price after its month was closed, for the statement of `billed`.
    Late { billed: Month, price: Option<PriceId> },
}

impl Whose {
    /// Whether the series is spread over shards.
    pub fn is_sharded(&self) -> bool {
        matches!(self, Self::Organization | Self::Price(_) | Self::Late { .. })
    }

    /// The name of the series with this granularity.
    pub fn series(&self, granularity: Granularity) -> String {
        format!("{}:{self}", granularity.as_str())
    }
}

/// How every series of one kind begins.
pub fn prefix(granularity: Granularity, kind: &str) -> String {
    format!("{}:{kind}:", granularity.as_str())
}

/// What stands after the last colon of a series; nothing for use without such a subject.
pub fn tail(series: &str) -> Option<&str> {
    series.rsplit(':').next().filter(|tail| *tail != NONE)
}

const NONE: &str = "none";

struct Or<'a, T>(&'a Option<T>);

impl<T: fmt::Display> fmt::Display for Or<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => id.fmt(out),
            None => out.write_str(NONE),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => out.write_str("organization"),
            Self::Team(id) => write!(out, "team:{}", Or(id)),
            Self::Project(id) => write!(out, "project:{}", Or(id)),
            Self::User(id) => write!(out, "user:{}", Or(id)),
            Self::Quota { id, user: None } => write!(out, "quota:{id}"),
            Self::Quota { id, user } => write!(out, "quota:{id}:{}", Or(user)),
            Self::Price(id) => write!(out, "price:{}", Or(id)),
            Self::Late { billed, price } => write!(out, "late-{billed}:{}", Or(price)),
        }
    }
}
