use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

fn queued() -> JobRecord {
    JobRecord::queued("notes", "tidy", Value::Null, at(0))
}

const POLICY: JobPolicy = JobPolicy {
    attempts: 2,
    first_wait: std::time::Duration::from_secs(1),
    longest_wait: std::time::Duration::from_secs(1),
    deadline: crate::policy::DEADLINE,
};

#[test]
fn one_run_has_the_job_until_its_lease_ends() {
    let mut job = queued();
    assert_eq!(job.claim(&POLICY, "a", at(0)), Claim::Run);
    assert!(job.is_held_by("a") && !job.is_held_by("b"));
    assert_eq!(job.clone().claim(&POLICY, "b", at(59)), Claim::Held(at(60)));
    assert_eq!(job.claim(&POLICY, "b", at(60)), Claim::Run);
    assert!(job.is_held_by("b") && !job.is_held_by("a"));
    assert!(job.error.as_ref().is_some_and(|error| error.contains("cut off")));
    // The second run was killed too, and the policy has no third.
    assert_eq!(job.claim(&POLICY, "c", at(120)), Claim::End);
    assert_eq!((job.state, job.attempts, job.lease), (JobState::Dead, 2, None));
}

#[test]
fn an_ended_job_and_one_that_is_not_due_are_left_alone() {
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        let mut job = JobRecord { state, ..queued() };
        let before = job.clone();
        assert_eq!(job.claim(&POLICY, "a", at(9)), Claim::Nothing, "{state:?}");
        assert_eq!(job, before);
    }
    for state in [JobState::Queued, JobState::Failed] {
        let mut job = JobRecord { state, due_at: at(100), ..queued() };
        assert_eq!(job.claim(&POLICY, "a", at(97)), Claim::Nothing);
        // Clocks differ a little: the only message of the job must not be wasted for it.
        assert_eq!(job.claim(&POLICY, "a", at(98)), Claim::Run);
    }
}

#[test]
fn a_cancelled_job_does_not_run_also_before_its_time() {
    let mut job = JobRecord { cancel_requested: true, due_at: at(1000), ..queued() };
    assert_eq!(job.claim(&POLICY, "a", at(0)), Claim::End);
    assert_eq!((job.state, job.attempts), (JobState::Cancelled, 0));
    let mut killed = queued();
    assert_eq!(killed.claim(&POLICY, "a", at(0)), Claim::Run);
    killed.cancel_requested = true;
    assert_eq!(killed.claim(&POLICY, "b", at(30)), Claim::Held(at(60)));
    assert_eq!(killed.claim(&POLICY, "b", at(60)), Claim::End);
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
    running.claim(&POLICY, "a", at(0));
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
    running.claim(&POLICY, "a", at(year));
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
fn a_record_of_before_there_were_leases_is_read() {
    let mut stored = serde_json::to_value(queued()).unwrap();
    stored.as_object_mut().unwrap().retain(|name, _| name != "lease" && name != "resentAt");
    assert_eq!(serde_json::from_value::<JobRecord>(stored).unwrap(), queued());
}

#[test]
fn states_are_shown_as_they_are_stored() {
    for state in JobState::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}
