use jiff::Timestamp;

use super::{Schedule, ScheduleError};

fn next(schedule: &str, after: &str) -> String {
    let after: Timestamp = after.parse().unwrap();
    Schedule::parse(schedule).unwrap().next_after(after).unwrap().to_string()
}

#[test]
fn fires_when_the_host_would() {
    // 2026-01-31 is a Saturday.
    let cases = [
        ("* * * * * *", "2026-01-31T09:30:00Z", "2026-01-31T09:30:01Z"),
        ("0 5 * * * *", "2026-01-31T09:30:00Z", "2026-01-31T10:05:00Z"),
        ("0 */15 * * * *", "2026-01-31T09:30:00Z", "2026-01-31T09:45:00Z"),
        ("0 */15 * * * *", "2026-01-31T09:45:00Z", "2026-01-31T10:00:00Z"),
        ("*/40 * * * * *", "2026-01-31T09:30:40Z", "2026-01-31T09:31:00Z"),
        ("0 10-50/20 * * * *", "2026-01-31T09:30:00Z", "2026-01-31T09:50:00Z"),
        ("0 10-50/20 * * * *", "2026-01-31T09:50:00Z", "2026-01-31T10:10:00Z"),
        ("0 0 6 * * *", "2026-01-31T06:00:00Z", "2026-02-01T06:00:00Z"),
        ("59 59 23 31 12 *", "2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"),
        // Sunday is 0, Saturday 6.
        ("0 0 0 * * 0", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("0 0 0 * * SUN", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("0 0 0 * * 6", "2026-01-31T00:00:00Z", "2026-02-07T00:00:00Z"),
        ("0 0 9 * * 1-5", "2026-01-30T09:00:00Z", "2026-02-02T09:00:00Z"),
        ("0 0 9 * * Mon-fri", "2026-01-30T09:00:00Z", "2026-02-02T09:00:00Z"),
        ("0 0 9 * * MON,WED,FRI", "2026-02-02T09:00:00Z", "2026-02-04T09:00:00Z"),
        ("0 0 0 * * 0-6/3", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("0 0 0 * * */2", "2026-02-01T00:00:00Z", "2026-02-03T00:00:00Z"),
        ("0 0 0 1 JAN,jul *", "2026-01-31T00:00:00Z", "2026-07-01T00:00:00Z"),
        ("0 0 0 1 MAR-MAY *", "2026-03-15T00:00:00Z", "2026-04-01T00:00:00Z"),
        // Both day fields have to match: a Friday the 13th.
        ("0 0 0 13 * FRI", "2026-01-31T00:00:00Z", "2026-02-13T00:00:00Z"),
        ("0 0 0 13 * 5", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"),
        ("0 0 0 */2 * 1", "2026-01-31T00:00:00Z", "2026-02-09T00:00:00Z"),
        ("0 0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("0 0 0 29 2 *", "2026-01-31T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"),
        ("0 0 0 29 2 MON", "2026-01-31T00:00:00Z", "2044-02-29T00:00:00Z"),
        // A fraction of a second is after the second, and before the next one.
        ("* * * * * *", "2026-01-31T09:30:00.001Z", "2026-01-31T09:30:01Z"),
        ("0 30 9 * * *", "2026-01-31T09:29:59.999Z", "2026-01-31T09:30:00Z"),
        ("0 30 9 * * *", "2026-01-31T09:30:00.001Z", "2026-02-01T09:30:00Z"),
        // Nothing happens to a time that many countries skip or repeat.
        ("0 30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-29T02:30:00Z"),
        ("0 30 1 * * *", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"),
        ("  0   5 *  * * *  ", "2026-01-31T09:30:00Z", "2026-01-31T10:05:00Z"),
    ];
    for (schedule, after, expected) in cases {
        assert_eq!(next(schedule, after), expected, "`{schedule}` after {after}");
    }
}

#[test]
fn refuses_what_the_host_refuses_or_reads_differently() {
    let cases = [
        ("", "has 0"),
        ("* * * * *", "has 5"),
        ("0 0 0 1 1 * 2027", "has 7"),
        ("@daily", "has 1"),
        ("60 * * * * *", "`60` in the second field"),
        ("0 60 * * * *", "`60` in the minute field"),
        ("0 0 24 * * *", "`24` in the hour field"),
        ("0 0 0 0 * *", "`0` in the day field"),
        ("0 0 0 32 * *", "`32` in the day field"),
        ("0 0 0 * 13 *", "`13` in the month field"),
        ("0 0 0 * 0 *", "`0` in the month field"),
        ("0 0 0 * * 7", "Sunday is 0"),
        ("0 0 0 * * 5-7", "`5-7` in the weekday field"),
        ("0 0 0 * * SAT-SUN", "ends before it starts"),
        ("0 0 22-2 * * *", "ends before it starts"),
        ("0 0 0 ? * *", "`?` in the day field"),
        ("0 0 0 * * ?", "`?` in the weekday field"),
        ("0 0 0 L * *", "`L` in the day field"),
        ("0 0 0 15W * *", "`15W` in the day field"),
        ("0 0 0 * * 5L", "`5L` in the weekday field"),
        ("0 0 0 * * 1#2", "`1#2` in the weekday field"),
        ("0 0 0 1 * +1", "`+1` in the weekday field"),
        ("MON * * * * *", "`MON` in the second field"),
        ("0 0 0 * MON *", "`MON` in the month field"),
        ("0 0 0 * * JAN", "`JAN` in the weekday field"),
        ("0 0 0 * * MONDAY", "`MONDAY` in the weekday field"),
        ("0 0 0 * * 1MON", "`1MON` in the weekday field"),
        ("0 5/10 * * * *", "a step needs"),
        ("0 */0 * * * *", "the step has to be"),
        ("0 */60 * * * *", "the step has to be"),
        ("0 */ * * * *", "the step has to be"),
        ("0 */5/2 * * * *", "the step has to be"),
        ("0 /5 * * * *", "`/5` in the minute field"),
        ("0 1,,2 * * * *", "`` in the minute field"),
        ("0 1, * * * *", "`` in the minute field"),
        ("0 1- * * * *", "`1-` in the minute field"),
        ("0 -1 * * * *", "`-1` in the minute field"),
        ("0 1-2-3 * * * *", "`1-2-3` in the minute field"),
        ("0 ** * * * *", "`**` in the minute field"),
        ("0 *-5 * * * *", "`*-5` in the minute field"),
        ("0 001 * * * *", "`001` in the minute field"),
        ("0 ٣ * * * *", "in the minute field"),
        ("00:05:00", "has 1"),
        ("0 0 0 30 2 *", "never fires"),
        ("0 0 0 31 4,6,9,11 *", "never fires"),
    ];
    for (schedule, expected) in cases {
        let error = Schedule::parse(schedule).unwrap_err().to_string();
        assert!(error.contains(expected), "`{schedule}`: {error}");
    }
    assert_eq!(Schedule::parse("0 0 0 30 2 *").unwrap_err(), ScheduleError::Never);
}

#[test]
fn ends_with_the_calendar() {
    let schedule = Schedule::parse("0 0 0 1 1 *").unwrap();
    assert_eq!(schedule.next_after(Timestamp::MAX), None);
}

#[test]
fn is_shown_as_it_was_written() {
    let schedule: Schedule = " 0  5 * * * mon ".parse().unwrap();
    assert_eq!(schedule.to_string(), "0 5 * * * mon");
}
