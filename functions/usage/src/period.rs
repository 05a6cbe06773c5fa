//! Periods of the calendar in UTC, and which counters they are made of.

use std::fmt;
use std::str::FromStr;

use coder_core::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From a time on and before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub to: Timestamp,
}

impl Span {
    /// Whether the time is in it.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }

    /// Seconds from `now` to the end; at least one.
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        let left = self.to.duration_since(now);
        let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
        seconds.max(1).unsigned_abs()
    }

    /// The months that it touches.
    pub fn months(&self) -> impl Iterator<Item = Month> + use<> {
        let (first, end) = (Month::of(self.from), self.to);
        std::iter::successors(Some(first), |month| Some(month.next()))
            .take_while(move |month| month.start() < end)
    }

    /// The span as long as this one and right before it.
    pub fn before(&self) -> Self {
        let length = self.to.duration_since(self.from);
        Self { from: earlier(self.from, length), to: self.from }
    }
}

/// The time so much earlier.
pub fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// The time so much later.
pub fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The time so many days earlier.
pub fn days_before(time: Timestamp, days: i64) -> Timestamp {
    earlier(time, SignedDuration::from_hours(24 * days))
}

/// The time so many days later.
pub fn days_after(time: Timestamp, days: i64) -> Timestamp {
    later(time, SignedDuration::from_hours(24 * days))
}

/// What a counter covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Granularity {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The name, as series have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The span that the time is in.
    pub fn containing(self, time: Timestamp) -> Span {
        match self {
            Self::Hour => Period::Hour,
            Self::Day => Period::Day,
            Self::Month => Period::Month,
        }
        .containing(time)
    }

    /// Days that a counter stays after its start; months stay for good.
    pub fn retention_days(self) -> Option<i64> {
        match self {
            Self::Hour => Some(90),
            Self::Day => Some(731),
            Self::Month => None,
        }
    }
}

/// A period of the calendar; weeks begin on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Period {
    /// The period that the time is in.
    pub fn containing(self, time: Timestamp) -> Span {
        let at = civil(time);
        let day = at.date();
        let (from, to) = match self {
            Self::Hour => {
                let from = at.date().at(at.hour(), 0, 0, 0);
                (from, from.saturating_add(1.hour()))
            }
            Self::Day => (midnight(day), midnight(day.saturating_add(1.day()))),
            Self::Week => {
                let monday = day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days());
                (midnight(monday), midnight(monday.saturating_add(1.week())))
            }
            Self::Month => {
                (midnight(day.first_of_month()), midnight(day.first_of_month().saturating_add(1.month())))
            }
            Self::Quarter => {
                let first = day.first_of_month().saturating_sub(i64::from((day.month() - 1) % 3).months());
                (midnight(first), midnight(first.saturating_add(3.months())))
            }
            Self::Year => {
                (midnight(day.first_of_year()), midnight(day.first_of_year().saturating_add(1.year())))
            }
        };
        Span { from: timestamp(from), to: timestamp(to) }
    }

    /// The counters that it is the sum of.
    pub fn counters(self) -> Granularity {
        match self {
            Self::Hour => Granularity::Hour,
            Self::Day | Self::Week => Granularity::Day,
            Self::Month | Self::Quarter | Self::Year => Granularity::Month,
        }
    }
}

fn civil(time: Timestamp) -> DateTime {
    time.to_zoned(TimeZone::UTC).datetime()
}

fn midnight(date: Date) -> DateTime {
    date.at(0, 0, 0, 0)
}

fn timestamp(at: DateTime) -> Timestamp {
    at.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// A month of the calendar in UTC, written `2026-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

impl Month {
    /// The month that the time is in.
    pub fn of(time: Timestamp) -> Self {
        Self(civil(time).date().first_of_month())
    }

    /// Its first moment.
    pub fn start(self) -> Timestamp {
        timestamp(midnight(self.0))
    }

    /// The month after.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1.month()))
    }

    /// The month before.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1.month()))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

/// The text is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written like 2026-01")]
pub struct NoMonth;

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let (year, month) = text.split_once('-').ok_or(NoMonth)?;
        let date = Date::new(year.parse().map_err(|_| NoMonth)?, month.parse().map_err(|_| NoMonth)?, 1);
        let parsed = date.map(Self).map_err(|_| NoMonth)?;
        if parsed.to_string() == text { Ok(parsed) } else { Err(NoMonth) }
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Month {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Month".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::{Month, Period, Span};
    use coder_core::Timestamp;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(period: Period, time: &str, from: &str, to: &str) {
        assert_eq!(period.containing(at(time)), Span { from: at(from), to: at(to) }, "{period:?} {time}");
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        check(Period::Hour, "2026-03-29T01:59:59.999Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z");
        // The night in which European clocks are put forward has 24 hours in UTC.
        check(Period::Day, "2026-03-29T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
        check(Period::Week, "2026-01-04T23:59:59Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z");
        check(Period::Week, "2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z");
        check(Period::Month, "2024-02-29T10:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check(Period::Quarter, "2026-12-31T23:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check(Period::Quarter, "2026-05-31T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z");
        check(Period::Year, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_span_knows_its_months_and_what_is_left() {
        let span = Span { from: at("2025-12-29T00:00:00Z"), to: at("2026-01-05T00:00:00Z") };
        assert_eq!(span.months().map(|month| month.to_string()).collect::<Vec<_>>(), ["2025-12", "2026-01"]);
        assert_eq!(span.seconds_left(at("2026-01-04T23:59:59.500Z")), 1);
        assert_eq!(span.seconds_left(at("2026-01-04T23:59:58.500Z")), 2);
        assert_eq!(span.seconds_left(at("2026-01-06T00:00:00Z")), 1);
        let month = Period::Month.containing(at("2026-01-31T10:00:00Z"));
        assert_eq!(month.months().count(), 1);
        assert_eq!(Period::Year.containing(at("2026-06-01T00:00:00Z")).months().count(), 12);
    }

    #[test]
    fn months_are_read_as_they_are_written() {
        assert_eq!("2026-01".parse::<Month>().unwrap().next().to_string(), "2026-02");
        assert_eq!("2026-01".parse::<Month>().unwrap().previous().to_string(), "2025-12");
        for text in ["", "2026", "2026-13", "2026-1", "26-01", "2026-01-01", "+2026-01", "abcd-ef"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
