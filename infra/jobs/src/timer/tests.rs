use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-01-05T{text}Z").parse().unwrap()
}

fn every_ten_minutes() -> Schedule {
    Schedule::parse("0 */10 * * * *").unwrap()
}

fn asked(state: &TimerState, now: Timestamp) -> Ask {
    Ask::Slot(state.slot_at(&every_ten_minutes(), now).unwrap())
}

/// A timer whose run of this slot is done.
fn done(slot: &str) -> TimerState {
    let mut state = TimerState::new("notes", "tidy");
    assert_eq!(state.claim(Ask::Slot(at(slot)), "a", at(slot)), Claim::Run(None));
    state.finish(TimerOutcome::Succeeded, None, at(slot)).unwrap();
    state
}

#[test]
fn a_slot_runs_once() {
    let mut state = TimerState::new("notes", "tidy");
    let ask = asked(&state, at("12:00:01"));
    assert_eq!(ask, Ask::Slot(at("12:00:00")));
    assert_eq!(state.claim(ask, "a", at("12:00:01")), Claim::Run(None));
    assert!(state.is_held_by("a") && !state.is_held_by("b"));
    assert_eq!(state.claim(ask, "b", at("12:00:02")), Claim::Held(at("12:01:01")));
    let run = state.finish(TimerOutcome::Failed, Some("no".into()), at("12:00:04")).unwrap();
    assert_eq!((run.run, run.slot, run.milliseconds), (1, Some(at("12:00:00")), 3000));
    assert_eq!(state.last, Some(run));
    // A failed one is done, too: the next slot is the next try.
    assert_eq!(state.claim(ask, "b", at("12:00:05")), Claim::Done);
    assert_eq!(state.claim(Ask::Missed(at("12:00:00")), "b", at("12:00:05")), Claim::Done);
    assert_eq!(state.finish(TimerOutcome::Succeeded, None, at("12:00:06")), None);
}

#[test]
fn what_was_killed_runs_again_after_its_lease() {
    let mut state = done("11:50:00");
    let ask = asked(&state, at("12:00:00"));
    assert_eq!(state.claim(ask, "a", at("12:00:00")), Claim::Run(None));
    assert_eq!(state.claim(ask, "b", at("12:00:59")), Claim::Held(at("12:01:00")));
    let Claim::Run(Some(lost)) = state.claim(ask, "b", at("12:01:00")) else { panic!("{state:?}") };
    assert_eq!((lost.run, lost.outcome, lost.slot), (2, TimerOutcome::Lost, Some(at("12:00:00"))));
    assert!(state.is_held_by("b") && !state.is_held_by("a"));
    assert_eq!(state.runs, 3);
}

#[test]
fn missed_slots_run_once_and_a_new_timer_waits() {
    let mut new = TimerState::new("notes", "tidy");
    assert_eq!(new.claim(Ask::Missed(at("12:00:00")), "a", at("12:07:00")), Claim::Noted);
    assert_eq!(new.claim(Ask::Missed(at("12:00:00")), "a", at("12:08:00")), Claim::Done);
    // Away from here on: five slots were missed.
    let slot = new.slot_at(&every_ten_minutes(), at("12:58:00")).unwrap();
    assert_eq!(new.claim(Ask::Missed(slot), "a", at("12:58:00")), Claim::Run(None));
    assert!(new.running.as_ref().is_some_and(|run| run.past_due));
    new.finish(TimerOutcome::Succeeded, None, at("12:58:01")).unwrap();
    assert_eq!(new.claim(asked(&new, at("12:59:00")), "a", at("12:59:00")), Claim::Done);
    assert_eq!(new.claim(asked(&new, at("13:00:00")), "a", at("13:00:00")), Claim::Run(None));
}

#[test]
fn a_call_a_moment_before_the_slot_is_for_it() {
    let state = done("12:00:00");
    assert_eq!(state.slot_at(&every_ten_minutes(), at("12:09:58.900")), Some(at("12:00:00")));
    assert_eq!(state.slot_at(&every_ten_minutes(), at("12:09:59")), Some(at("12:10:00")));
    // The slot before was missed: it comes first.
    assert_eq!(done("11:50:00").slot_at(&every_ten_minutes(), at("12:09:59")), Some(at("12:00:00")));
}

#[test]
fn an_operators_run_takes_no_slot() {
    let mut state = done("12:00:00");
    assert_eq!(state.claim(Ask::Now, "a", at("12:05:00")), Claim::Run(None));
    assert_eq!(state.claim(Ask::Now, "b", at("12:05:01")), Claim::Held(at("12:06:00")));
    state.finish(TimerOutcome::Succeeded, None, at("12:05:02")).unwrap();
    assert_eq!(state.slot, Some(at("12:00:00")));
    assert_eq!(state.claim(asked(&state, at("12:10:00")), "a", at("12:10:00")), Claim::Run(None));
}

#[test]
fn a_clock_that_goes_back_repeats_nothing_and_a_wrong_one_stops_nothing() {
    let mut state = done("12:00:00");
    for back in ["11:59:00", "11:10:00", "00:00:00"] {
        assert_eq!(state.claim(asked(&state, at(back)), "a", at(back)), Claim::Done, "{back}");
    }
    // For some minutes the clock was a year ahead.
    let wrong = "2027-01-05T12:00:00Z".parse().unwrap();
    assert_eq!(state.claim(Ask::Slot(wrong), "a", wrong), Claim::Run(None));
    state.finish(TimerOutcome::Succeeded, None, wrong).unwrap();
    let now = at("12:10:00");
    assert_eq!(state.claim(asked(&state, now), "a", now), Claim::Run(None));
    state.finish(TimerOutcome::Succeeded, None, now).unwrap();
    assert_eq!(state.claim(asked(&state, now), "a", now), Claim::Done);
}

#[test]
fn a_lease_of_a_clock_that_was_ahead_is_no_lock_for_a_year() {
    let mut state = done("12:00:00");
    let wrong = "2027-01-05T12:00:00Z".parse().unwrap();
    assert_eq!(state.claim(Ask::Slot(wrong), "a", wrong), Claim::Run(None));
    let now = at("12:10:00");
    assert!(matches!(state.claim(asked(&state, now), "b", now), Claim::Run(Some(_))));
}

#[test]
fn the_history_is_a_ring() {
    let state = done("12:00:00");
    let run = state.last.unwrap();
    assert_eq!(run.document_id(), "run-01");
    assert_eq!(TimerRun { run: 51, ..run.clone() }.document_id(), "run-01");
    assert_eq!(TimerRun { run: 100, ..run }.document_id(), "run-00");
}
