//! Timer schedules: NCRONTAB, the dialect of the Functions host. Six fields, in UTC.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

/// When a timer fires: `second minute hour day month weekday`, separated by spaces.
///
/// A field is a list, separated by commas, of `*`, numbers and ranges; each may have a `/step`, and a number with
/// a step is a range up to the field's end. Sunday is 0. Months and weekdays have English names, cut to three
/// letters or more, in any case. A time fires when all six fields match, the day *and* the weekday.
///
/// That is what the host's own reader, `NCrontab`, makes of these texts; it is assumed here, since the host cannot
/// be asked, and every accepted schedule is expanded by its rules before the search sees it. Refused is
/// - what the host refuses: `?`, `L`, `W`, `#`, 7 for Sunday, `@daily`, a year, numbers out of range;
/// - what it reads otherwise than it looks: a range that ends before it starts (it swaps the two, so that
///   `SAT-SUN` is the whole week), a step of 0 (it takes 1), a step longer than the field (it fires once), a name
///   of one or two letters (it takes the first that begins so: `M` is March);
/// - five fields, which newer hosts take for a schedule without seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

/// What is wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not six fields.
    #[error("a schedule has six fields (second minute hour day month weekday), this one has {0}")]
    FieldCount(usize),
    /// A field that cannot be read.
    #[error("`{item}` in the {field} field: {reason}")]
    Field {
        /// Which field.
        field: &'static str,
        /// The part that is wrong.
        item: String,
        /// Why, and what is accepted.
        reason: String,
    },
    /// Correctly written, but no day matches, such as 30 February.
    #[error("the schedule never fires: no date matches its day, month and weekday")]
    Never,
}

struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: &[&str] = &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const FIELDS: [Field; 6] = [
    Field { name: "second", min: 0, max: 59, names: &[] },
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day", min: 1, max: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, names: MONTHS },
    Field { name: "weekday", min: 0, max: 6, names: WEEKDAYS },
];

impl Schedule {
    /// Reads a schedule.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        if fields.len() != FIELDS.len() {
            return Err(ScheduleError::FieldCount(fields.len()));
        }
        let expanded: Vec<String> = FIELDS
            .iter()
            .zip(&fields)
            .map(|(field, written)| field.expand(written))
            .collect::<Result<_, _>>()?;
        let parser =
            CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(true).build();
        let text = fields.join(" ");
        let cron = parser.parse(&expanded.join(" ")).map_err(|error| ScheduleError::Field {
            field: "whole",
            item: text.clone(),
            reason: error.to_string(),
        })?;
        let schedule = Self { text, cron };
        // The calendar repeats every 400 years, so a schedule that has no time after this one has none at all.
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    /// The first time after `time`, itself excluded. `None` only at the end of the calendar.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&time.to_zoned(TimeZone::UTC), false).ok()?;
        Some(next.timestamp())
    }

    /// The last time up to `time`, itself included. `None` only at the start of the calendar.
    pub fn latest(&self, time: Timestamp) -> Option<Timestamp> {
        let whole = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
        let second = time.round(whole).ok()?;
        let latest = self.cron.find_previous_occurrence(&second.to_zoned(TimeZone::UTC), true).ok()?;
        Some(latest.timestamp())
    }

    /// The next times after `time`, at most `count`.
    pub fn upcoming(&self, time: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(time), |last| self.next_after(*last)).take(count).collect()
    }

    /// The schedule as it was written, with single spaces.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Field {
    /// The values that a field names, as a plain list.
    fn expand(&self, written: &str) -> Result<String, ScheduleError> {
        let mut values = BTreeSet::new();
        for item in written.split(',') {
            let fault = |reason| ScheduleError::Field { field: self.name, item: item.to_owned(), reason };
            let (first, last, step) = self.item(item).map_err(fault)?;
            values.extend((first..=last).step_by(step.into()));
        }
        if values.len() == usize::from(self.max - self.min) + 1 {
            return Ok("*".into());
        }
        Ok(values.iter().map(u8::to_string).collect::<Vec<_>>().join(","))
    }

    /// First and last value and step of one item of a list.
    fn item(&self, item: &str) -> Result<(u8, u8, u8), String> {
        let (span, step) = match item.split_once('/') {
            Some((span, step)) => {
                let size = number(step).filter(|size| (1..=self.max).contains(size));
                (span, Some(size.ok_or(format!("the step has to be a number from 1 to {}", self.max))?))
            }
            None => (item, None),
        };
        let (first, last) = if span == "*" {
            (self.min, self.max)
        } else if let Some((first, last)) = span.split_once('-') {
            (self.value(first)?, self.value(last)?)
        } else {
            let value = self.value(span)?;
            (value, if step.is_some() { self.max } else { value })
        };
        if first > last {
            return Err("the range ends before it starts; write it as a list of two ranges".to_owned());
        }
        Ok((first, last, step.unwrap_or(1)))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let lower = text.to_ascii_lowercase();
        let begins = |name: &&str| text.len() >= 3 && name.starts_with(&lower);
        let by_name = self.names.iter().zip(self.min..).find(|(name, _)| begins(name));
        let value = by_name.map(|(_, value)| value).or_else(|| number(text));
        value.filter(|value| (self.min..=self.max).contains(value)).ok_or_else(|| {
            let names = if self.names.is_empty() { "" } else { ", or a name of three letters or more" };
            let sunday = if self.names == WEEKDAYS && text == "7" { "; Sunday is 0" } else { "" };
            format!("it has to be a number from {} to {}{names}{sunday}", self.min, self.max)
        })
    }
}

/// Digits only: no sign, at most two.
fn number(text: &str) -> Option<u8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
