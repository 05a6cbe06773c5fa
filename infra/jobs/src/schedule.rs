//! Timer schedules: NCRONTAB, the dialect of the Functions host. Six fields, in UTC.

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// When a timer fires: `second minute hour day month weekday`. A field is `*`, a number, a range, either of the
/// first and the last with `/step`, or a list of these. Sunday is 0; months and weekdays have names (`JAN`,
/// `SUN`). Both day fields have to match. What other dialects add (`?`, `L`, `W`, `#`, 7 for Sunday, `@daily`, a
/// year) is refused, since the host would refuse it or read it differently.
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

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
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
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(ScheduleError::FieldCount(fields.len()));
        }
        // The library accepts more than the host does, so everything is checked before it reads the text.
        for (field, written) in FIELDS.iter().zip(&fields) {
            written.split(',').try_for_each(|item| field.check(item))?;
        }
        let text = fields.join(" ");
        let parser =
            CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(true).build();
        let cron = parser.parse(&text).map_err(|error| ScheduleError::Field {
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

    /// The schedule as it was written, with single spaces.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Field {
    fn check(&self, item: &str) -> Result<(), ScheduleError> {
        let fault = |reason: String| ScheduleError::Field { field: self.name, item: item.to_owned(), reason };
        let (span, step) = match item.split_once('/') {
            Some((span, step)) => (span, Some(step)),
            None => (item, None),
        };
        if let Some(step) = step {
            let size = number(step).filter(|size| (1..=self.max).contains(size));
            size.ok_or_else(|| fault(format!("the step has to be a number from 1 to {}", self.max)))?;
        }
        if span == "*" {
            return Ok(());
        }
        let Some((first, last)) = span.split_once('-') else {
            self.value(span).map_err(&fault)?;
            return match step {
                Some(_) => {
                    Err(fault(format!("a step needs `*` or a range, such as `{span}-{}/2`", self.max)))
                }
                None => Ok(()),
            };
        };
        let (first, last) = (self.value(first).map_err(&fault)?, self.value(last).map_err(&fault)?);
        if first > last {
            return Err(fault(
                "the range ends before it starts; write it as a list of two ranges".to_owned(),
            ));
        }
        Ok(())
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let by_name = self.names.iter().zip(self.min..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = by_name.map(|(_, value)| value).or_else(|| number(text));
        value.filter(|value| (self.min..=self.max).contains(value)).ok_or_else(|| {
            let names = if self.names.is_empty() { "" } else { ", or a name of three letters" };
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
