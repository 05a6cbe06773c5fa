use coder_core::{ManualClock, OsEntropy};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

fn then(second: i64) -> Ambient {
    Ambient::new(ManualClock::at(at(second)), OsEntropy)
}

fn queued() -> JobRecord {
    JobRecord::queued("notes", "tidy", Value::Null, at(0))
}

const POLICY: JobPolicy = JobPolicy {
    attempts: 2,
    cut_offs: 3,
    first_wait: std::time::Duration::from_secs(1),
    longest_wait: std::time::Duration::from_secs(1),
    deadline: crate::policy::DEADLINE,
};

#[test]
fn one_run_has_the_job_until_its_lease_ends() {
    let mut job = queued();
    assert_eq!(job.claim(&POLICY, "a", &then(0)), Claim::Run);
    assert!(job.is_held_by("a") && !job.is_held_by("b"));
    assert_eq!(job.clone().claim(&POLICY, "b", &then(59)), Claim::Held(at(60)));
    assert_eq!(job.claim(&POLICY, "b", &then(60)), Claim::Run);
    assert!(job.is_held_by("b") && !job.is_held_by("a"));
    assert!(job.error.as_ref().is_some_and(|error| error.contains("cut off")));
    assert_eq!((job.attempts, job.cut_offs), (2, 1));
}

/// Comes whenever the job may run, and takes it.
fn run(job: &mut JobRecord, policy: &JobPolicy, clock: &mut i64) -> bool {
    loop {
        match job.claim(policy, "a", &then(*clock)) {
            Claim::Run => return true,
            Claim::End => return false,
            Claim::Later | Claim::Nothing => {
                assert_eq!(job.state, JobState::Failed);
                *clock += job.due_at.duration_since(at(*clock)).as_secs() + 1;
            }
            Claim::Held(_) => *clock += 60,
        }
    }
}

#[test]
fn a_run_that_is_cut_off_uses_up_no_failure() {
    let (policy, mut clock, mut job) = (JobPolicy::default(), 0, queued());
    for runs in 1..=policy.cut_offs {
        assert!(run(&mut job, &policy, &mut clock), "{job:?}");
        assert_eq!((job.attempts, job.cut_offs), (runs, runs - 1));
        assert!(!job.is_last_try(&policy));
    }
    job.end(JobState::Succeeded, at(clock));
    assert_eq!((job.attempts, job.cut_offs), (20, 19));
}

#[test]
fn a_job_that_is_cut_off_every_time_is_given_up_and_says_why() {
    let (mut clock, mut job) = (0, queued());
    while run(&mut job, &POLICY, &mut clock) {}
    assert_eq!((job.state, job.attempts, job.cut_offs, &job.lease), (JobState::Dead, 3, 3, &None));
    let why = "the run was cut off: its process ended or hung (given up after 3 runs that were cut off)";
    assert_eq!(job.error.as_deref(), Some(why));
}

#[test]
fn a_job_that_fails_every_time_is_given_up_and_says_why() {
    let (policy, mut clock, mut job) = (JobPolicy::default(), 0, queued());
    while !job.state.is_final() {
        assert!(run(&mut job, &policy, &mut clock));
        assert_eq!(job.is_last_try(&policy), job.attempts == 5);
        job.retry("not now".to_owned(), &policy, &then(clock));
    }
    assert_eq!((job.state, job.attempts, job.cut_offs), (JobState::Dead, 5, 0));
    assert_eq!(job.error.as_deref(), Some("not now (given up after 5 runs that failed)"));
}

#[test]
fn failures_and_cut_offs_count_apart() {
    let (mut clock, mut job) = (0, queued());
    for failed in [false, true, false, true] {
        assert!(run(&mut job, &POLICY, &mut clock));
        if failed {
            job.retry("not now".to_owned(), &POLICY, &then(clock));
        }
    }
    assert_eq!((job.state, job.attempts, job.cut_offs), (JobState::Dead, 4, 2));
    assert!(job.error.as_ref().is_some_and(|error| error.contains("2 runs that failed")), "{job:?}");
}

#[test]
fn who_is_cut_off_again_waits_before_the_next_run() {
    let policy = JobPolicy::default();
    let running = JobRecord { state: JobState::Running, attempts: 5, cut_offs: 4, ..queued() };
    let waits: Vec<i64> = (0..200)
        .map(|_| {
            let mut job = running.clone();
            let claim = job.claim(&policy, "b", &then(0));
            let wait = job.due_at.duration_since(at(0)).as_secs();
            // What is due within the difference of clocks is taken at once.
            assert_eq!(claim, if job.state == JobState::Failed { Claim::Later } else { Claim::Run });
            assert_eq!(job.cut_offs, 5);
            wait
        })
        .collect();
    assert!(waits.iter().all(|wait| (0..=120).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > 60), "{waits:?}");
}

#[test]
fn an_ended_job_and_one_that_is_not_due_are_left_alone() {
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        let mut job = JobRecord { state, ..queued() };
        let before = job.clone();
        assert_eq!(job.claim(&POLICY, "a", &then(9)), Claim::Nothing, "{state:?}");
        assert_eq!(job, before);
    }
    for state in [JobState::Queued, JobState::Failed] {
        let mut job = JobRecord { state, due_at: at(100), ..queued() };
        assert_eq!(job.claim(&POLICY, "a", &then(97)), Claim::Nothing);
        // Clocks differ a little: the only message of the job must not be wasted for it.
        assert_eq!(job.claim(&POLICY, "a", &then(98)), Claim::Run);
    }
}

#[test]
fn a_cancelled_job_does_not_run_also_before_its_time() {
    let mut job = JobRecord { cancel_requested: true, due_at: at(1000), ..queued() };
    assert_eq!(job.claim(&POLICY, "a", &then(0)), Claim::End);
    assert_eq!((job.state, job.attempts), (JobState::Cancelled, 0));
    let mut killed = queued();
    assert_eq!(killed.claim(&POLICY, "a", &then(0)), Claim::Run);
    killed.cancel_requested = true;
    assert_eq!(killed.claim(&POLICY, "b", &then(30)), Claim::Held(at(60)));
    assert_eq!(killed.claim(&POLICY, "b", &then(60)), Claim::End);
    assert_eq!(killed.state, JobState::Cancelled);
}

#[test]
fn cancelling_ends_a_waiting_job_and_asks_a_running_one() {
    for state in JobState::ALL {
        let mut job = JobRecord { state, ..queued() };
        assert_eq!(job.cancel(at(5)), !state.is_final(), "{state:?}");
        let expected = match state {
            JobState::Queued | JobState::Failed => JobState::Cancelled,
            other => other,
        };
        assert_eq!((job.state, job.cancel_requested), (expected, !state.is_final()));
    }
}

#[test]
fn a_job_is_forgotten_ten_minutes_after_its_time() {
    let minutes = |n: i64| at(n * 60 + 1);
    let job = queued();
    assert!(!job.is_forgotten(minutes(9)) && job.is_forgotten(minutes(10)));
    let sent = JobRecord { resent_at: Some(minutes(10)), ..job.clone() };
    assert!(!sent.is_forgotten(minutes(19)) && sent.is_forgotten(minutes(21)));
    let mut running = job.clone();
    running.claim(&POLICY, "a", &then(0));
    assert!(!running.is_forgotten(minutes(10)) && running.is_forgotten(minutes(11)));
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        assert!(!JobRecord { state, ..job.clone() }.is_forgotten(minutes(100)));
    }
}

#[test]
fn what_a_wrong_clock_wrote_does_not_hide_a_forgotten_job() {
    let year = 365 * 24 * 3600;
    let sent = JobRecord { resent_at: Some(at(year)), ..queued() };
    assert!(sent.is_forgotten(at(601)) && !sent.is_forgotten(at(599)));
    let mut running = queued();
    running.claim(&POLICY, "a", &then(year));
    assert!(running.is_forgotten(at(0)), "nobody has the lease");
    assert!(!JobRecord { resent_at: Some(at(0)), ..running.clone() }.is_forgotten(at(60)));
    assert!(!running.is_forgotten(at(year)), "or else it has it");
}

#[test]
fn the_audit_holds_nothing_that_a_job_works_on() {
    let told = Some("s-123".to_owned());
    let (input, result) = (serde_json::json!({"to": "s-123"}), Some("s-123".into()));
    let job = JobRecord { input, result, error: told.clone(), note: told, ..queued() };
    let job = serde_json::to_value(job).unwrap();
    let changes = coder_database::audit::changes(&Value::Null, &job, JobRecord::SECRET);
    assert!(changes.iter().any(|change| change.path == "/job") && changes.len() > 4, "{changes:?}");
    assert!(!format!("{changes:?}").contains("s-123"), "{changes:?}");
}

#[test]
fn a_record_of_before_there_were_leases_and_cut_offs_is_read() {
    let mut stored = serde_json::to_value(queued()).unwrap();
    stored
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !["lease", "resentAt", "cutOffs"].contains(&name.as_str()));
    assert_eq!(serde_json::from_value::<JobRecord>(stored).unwrap(), queued());
}

#[test]
fn states_are_shown_as_they_are_stored() {
    for state in JobState::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}
