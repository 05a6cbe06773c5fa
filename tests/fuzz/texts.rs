//! Texts of a line or a few.

use coder_auth::email::EmailAddress;
use coder_jobs::{Schedule, ScheduleError};
use coder_notifications::render::Template;
use coder_secrets::dotenv;
use coder_secrets::reference::Reference;
use coder_usage::decimal::Decimal;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::target;

target! {
    /// An address has one form, which it keeps, and nothing in it that could break a mail's header.
    mail_addresses(material) {
        let text = &material.text;
        let Ok(address) = EmailAddress::parse(text) else { return };
        let form = address.as_str();
        assert_eq!(EmailAddress::parse(form).as_ref(), Ok(&address), "{text:?} becomes {form:?}");
        assert_eq!(format!("{}@{}", address.local_part(), address.domain()), form);
        assert!(form.len() <= 254 && form.matches('@').count() == 1 && address.domain().contains('.'));
        assert!(!form.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;:\\\"()[]".contains(c)), "{form:?}");
        if text.is_ascii() {
            assert_eq!(EmailAddress::parse(&text.to_ascii_uppercase()).as_ref(), Ok(&address));
        }
    }
}

target! {
    /// A reference has one spelling.
    secret_references(material) {
        if let Ok(reference) = material.text.parse::<Reference>() {
            assert_eq!(reference.to_string(), material.text);
            assert!(reference.version != Some(0) && reference.field.as_deref() != Some(""));
        }
    }
}

target! {
    /// Every line is a variable, an error, or nothing, and no error quotes it; what is read can be written and read
    /// again.
    variable_files(material) {
        let (variables, errors) = dotenv::parse(&material.text);
        let lines = material.text.lines().count();
        assert!(variables.len() + errors.len() <= lines);
        let mut numbers: Vec<usize> = variables.iter().map(|one| one.line).collect();
        numbers.extend(errors.iter().map(|error| error.line));
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|two| two[0] < two[1]) && numbers.last().is_none_or(|last| *last <= lines));
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
        let written: Vec<String> =
            variables.iter().map(|one| format!("export {}=\"{}\" # note", one.name, quoted(&one.value))).collect();
        let (again, faults) = dotenv::parse(&written.join("\n"));
        assert_eq!(faults, []);
        let pairs = |all: &[dotenv::Variable]| -> Vec<(String, String)> {
            all.iter().map(|one| (one.name.clone(), one.value.to_string())).collect()
        };
        assert_eq!(pairs(&again), pairs(&variables));
    }
}

target! {
    /// Digits with at most six decimals, as plain arithmetic reads them.
    decimals(material) {
        let text = &material.text;
        let (units, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        let expected = (digits(units) && digits(fraction) && fraction.len() <= 6 && text.len() <= 60)
            .then(|| units.trim_start_matches('0'))
            .filter(|units| units.len() <= 13)
            .map(|units| format!("0{units}{fraction:0<6}").parse::<i128>().unwrap())
            .filter(|millionths| *millionths <= 1_000_000_000_000_000_000);
        let read = Decimal::parse(text);
        if text.len() <= 60 {
            assert_eq!(read.map(Decimal::millionths), expected, "{text:?}");
        }
        if let Some(number) = read {
            assert_eq!(Decimal::parse(&number.to_string()), Some(number));
            let (units, rest) = number.split();
            assert_eq!(Decimal::join(units, rest), number);
        }
    }
}

/// The values that an item of a field names, read slowly: the last value and the names are those of the field.
fn item(item: &str, (lowest, highest): (i64, i64), names: &[&str]) -> Option<Vec<i64>> {
    let value = |text: &str| {
        let lower = text.to_ascii_lowercase();
        let at_name = names.iter().position(|name| text.len() >= 3 && name.starts_with(&lower));
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = match at_name {
            Some(at) => lowest + i64::try_from(at).unwrap(),
            None if digits => text.parse().unwrap(),
            None => return None,
        };
        (lowest..=highest).contains(&value).then_some(value)
    };
    let (span, step) = item.split_once('/').map_or((item, None), |(span, step)| (span, Some(step)));
    let step = match step {
        Some(text) => text.parse::<i64>().ok().filter(|step| {
            (1..=highest).contains(step) && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit())
        })?,
        None => 0,
    };
    let (first, last) = match span.split_once('-') {
        _ if span == "*" => (lowest, highest),
        Some((first, last)) => (value(first)?, value(last)?),
        None => (value(span)?, if step > 0 { highest } else { value(span)? }),
    };
    (first <= last).then(|| (first..=last).filter(|one| (one - first) % step.max(1) == 0).collect())
}

const MONTHS: [&str; 12] = [
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
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const BOUNDS: [(i64, i64); 6] = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];

/// The values of each field, or nothing if a field is wrong.
fn fields(text: &str) -> Option<Vec<Vec<i64>>> {
    let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
    let names: [&[&str]; 6] = [&[], &[], &[], &[], &MONTHS, &WEEKDAYS];
    let read = |at: usize| {
        let items = fields[at].split(',').map(|one| item(one, BOUNDS[at], names[at]));
        items.collect::<Option<Vec<_>>>().map(|all| all.concat())
    };
    if fields.len() == 6 { (0..6).map(read).collect() } else { None }
}

fn fires(fields: &[Vec<i64>], at: Timestamp) -> bool {
    let time = at.to_zoned(TimeZone::UTC);
    let parts = [
        i64::from(time.second()),
        i64::from(time.minute()),
        i64::from(time.hour()),
        i64::from(time.day()),
        i64::from(time.month()),
        i64::from(time.weekday().to_sunday_zero_offset()),
    ];
    fields.iter().zip(parts).all(|(values, part)| values.contains(&part))
}

target! {
    /// A schedule is read as a slow reader reads it, fires only when every field matches, and misses nothing.
    schedules(material) {
        let (text, expected) = (&material.text, fields(&material.text));
        let schedule = match Schedule::parse(text) {
            Ok(schedule) => schedule,
            Err(ScheduleError::Never) => return assert!(expected.is_some(), "{text:?}"),
            Err(error) => {
                assert!(expected.is_none(), "{text:?}: {error}");
                return assert!(error.to_string().contains("field"), "{error}");
            }
        };
        let fields = expected.unwrap_or_else(|| panic!("{text:?} should not be read"));
        assert_eq!(Schedule::parse(schedule.as_str()).as_ref(), Ok(&schedule));
        let from: Timestamp = "2026-02-27T23:59:58Z".parse().unwrap();
        let from = from + SignedDuration::from_hours(i64::try_from(material.choose(0, 200)).unwrap() * 171);
        let Some(next) = schedule.next_after(from) else { panic!("{text:?} ends") };
        assert!(next > from && fires(&fields, next), "{text:?} at {next}");
        assert_eq!(schedule.latest(next), Some(next));
        let mut between = from;
        for _ in 0..120 {
            between += SignedDuration::from_secs(1);
            assert!(between >= next || !fires(&fields, between), "{text:?} misses {between}");
        }
    }
}

target! {
    /// A template that cannot be read says where.
    templates(material) {
        if let Err(error) = Template::parse(&material.text) {
            let lines = material.text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&error.line) && !error.what.is_empty(), "{error:?}");
        }
    }
}
