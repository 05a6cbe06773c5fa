//! Counting entries by what they have in common and when they were done.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use coder_core::{Code, Failure, Result, Timestamp};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Logging;
use super::search::{Search, in_time};

/// Most counts of an answer.
const MAX_COUNTS: usize = 10_000;

/// What entries are counted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CountBy {
    /// The kind of act.
    #[default]
    Category,
    /// The severity.
    Severity,
    /// What was done.
    Action,
    /// Who did it.
    Actor,
    /// How it ended.
    Outcome,
    /// The publishing group.
    Source,
}

/// How long a bucket is; all begin in UTC, weeks on Mondays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BucketLength {
    /// An hour.
    Hour,
    /// A day.
    #[default]
    Day,
    /// A week.
    Week,
}

/// A count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Count {
    /// When the bucket begins.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub bucket: Timestamp,
    /// The value in common.
    pub key: String,
    /// How many entries.
    pub count: u64,
}

impl CountBy {
    fn key(self, entry: &Value) -> &str {
        let value = match self {
            Self::Category => &entry["category"],
            Self::Severity => &entry["severity"],
            Self::Action => &entry["action"],
            Self::Actor => &entry["actor"]["id"],
            Self::Outcome => &entry["outcome"],
            Self::Source => &entry["source"],
        };
        value.as_str().unwrap_or_default()
    }
}

impl BucketLength {
    /// When the bucket of a time begins.
    pub fn start(self, time: Timestamp) -> Timestamp {
        const HOUR: i64 = 3600;
        // 1 January 1970 was a Thursday.
        let (length, shift) = match self {
            Self::Hour => (HOUR, 0),
            Self::Day => (24 * HOUR, 0),
            Self::Week => (7 * 24 * HOUR, 3 * 24 * HOUR),
        };
        let past = SignedDuration::from_secs((time.as_second() + shift).rem_euclid(length));
        let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
        whole.saturating_sub(past).unwrap_or(time)
    }
}

impl Logging {
    /// Counts the entries that are found.
    pub async fn count(&self, search: &Search, by: CountBy, length: BucketLength) -> Result<Vec<Count>> {
        let mut counts = BTreeMap::<(Timestamp, String), u64>::new();
        in_time(self.scan(search, &mut |document| {
            let time = document.body["time"].as_str().and_then(|time| time.parse().ok());
            let bucket = length.start(time.unwrap_or(Timestamp::UNIX_EPOCH));
            *counts.entry((bucket, by.key(&document.body).to_owned())).or_default() += 1;
            if counts.len() > MAX_COUNTS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }))
        .await?;
        if counts.len() > MAX_COUNTS {
            let detail = format!("There would be more than {MAX_COUNTS} counts; narrow the range.");
            return Err(Failure::problem(Code::NarrowTheRange, detail));
        }
        Ok(counts.into_iter().map(|((bucket, key), count)| Count { bucket, key, count }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let time = at("2026-01-08T12:34:56.789Z");
        assert_eq!(BucketLength::Hour.start(time), at("2026-01-08T12:00:00Z"));
        assert_eq!(BucketLength::Day.start(time), at("2026-01-08T00:00:00Z"));
        assert_eq!(BucketLength::Week.start(time), at("2026-01-05T00:00:00Z"));
        assert_eq!(BucketLength::Week.start(at("2026-01-05T00:00:00Z")), at("2026-01-05T00:00:00Z"));
        assert_eq!(BucketLength::Week.start(at("2026-01-04T23:59:59Z")), at("2025-12-29T00:00:00Z"));
    }
}
