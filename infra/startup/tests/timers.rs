//! A timer's slot runs once, whoever asks for it.

use coder_handler::functions::Outcome;
use coder_jobs::timer::TimerOutcome;
use serde_json::json;

use crate::hosts::Hosts;

fn said(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done(value) => value["outcome"].as_str().unwrap(),
        Outcome::Retry(reason) | Outcome::Reject(reason) => reason,
    }
}

#[tokio::test]
async fn of_two_hosts_one_runs_a_slot() {
    let hosts = Hosts::new();
    let (a, b) = (hosts.host().await, hosts.host().await);
    for slot in ["12:10:00", "12:20:00", "12:30:00"] {
        hosts.at(slot);
        let (one, two) = tokio::join!(a.tick("tidy", false), b.tick("tidy", false));
        let mut said = [said(&one), said(&two)];
        said.sort_unstable();
        assert!(matches!(said, ["done" | "held", "ran"]), "{said:?}");
    }
    assert_eq!(hosts.script.log().len(), 3);
    assert_eq!(said(&a.tick("tidy", false).await), "done");
    let history = a.history().await;
    assert_eq!(history.iter().map(|run| run.outcome).collect::<Vec<_>>(), [TimerOutcome::Succeeded; 3]);
    assert_eq!(history[1].slot, Some("2026-01-05T12:20:00Z".parse().unwrap()));
    assert!(a.metrics().contains(r#"jobs_total{group="usage",job="tidy",outcome="#), "{}", a.metrics());
}

#[tokio::test]
async fn a_slow_timer_is_not_run_by_another_host_and_delays_no_other_timer() {
    let hosts = Hosts::new();
    let (a, b) = (hosts.host().await, hosts.host().await);
    hosts.at("12:10:00");
    hosts.script.timer(&["wait"]);
    let slow = tokio::spawn({
        let a = a.clone();
        async move { a.tick("tidy", false).await }
    });
    hosts.script.waits().await;
    hosts.pass(59);
    let held = b.tick("tidy", false).await;
    assert_eq!(held, Outcome::Done(json!({"outcome": "held", "until": "2026-01-05T12:11:00Z"})));
    assert_eq!(said(&a.tick("other", false).await), "ran");
    hosts.script.open();
    assert_eq!(said(&slow.await.unwrap()), "ran");
    assert_eq!(a.timer().await.last.unwrap().milliseconds, 59_000);
    assert_eq!(hosts.script.log(), ["tidy wait", "other"]);
}

#[tokio::test]
async fn a_killed_run_is_taken_over_and_the_old_one_writes_nothing() {
    let hosts = Hosts::new();
    let (a, b) = (hosts.host().await, hosts.host().await);
    hosts.at("12:10:00");
    hosts.script.timer(&["wait"]);
    let hung = tokio::spawn(async move { a.tick("tidy", false).await });
    hosts.script.waits().await;
    hosts.pass(60);
    assert_eq!(said(&b.tick("tidy", false).await), "ran");
    let after = b.timer().await;
    // The one that was thought dead comes back.
    hosts.script.open();
    assert_eq!(said(&hung.await.unwrap()), "lost");
    assert_eq!(b.timer().await, after);
    let outcomes: Vec<_> = b.history().await.iter().map(|run| (run.run, run.outcome)).collect();
    assert_eq!(outcomes, [(1, TimerOutcome::Lost), (2, TimerOutcome::Succeeded)]);
    assert_eq!(said(&b.tick("tidy", false).await), "done");
}

#[tokio::test]
async fn missed_slots_run_once_and_nothing_runs_twice_after_a_restart() {
    let hosts = Hosts::new();
    let first = hosts.host().await;
    // The first start: a timer that nobody has seen waits for its slot.
    assert_eq!(said(&first.tick("tidy", true).await), "done");
    hosts.at("12:10:00");
    assert_eq!(said(&first.tick("tidy", false).await), "ran");
    drop(first);
    let second = hosts.host().await;
    assert_eq!(said(&second.tick("tidy", true).await), "done");
    drop(second);
    hosts.at("15:47:00");
    let third = hosts.host().await;
    assert_eq!(said(&third.tick("tidy", true).await), "ran");
    assert_eq!(said(&third.tick("tidy", true).await), "done");
    let last = third.timer().await.last.unwrap();
    assert_eq!((last.slot, last.past_due), (Some("2026-01-05T15:40:00Z".parse().unwrap()), true));
    assert_eq!(hosts.script.log().len(), 2);
}

#[tokio::test]
async fn a_slot_that_was_missed_before_the_timer_ever_ran_counts() {
    let hosts = Hosts::new();
    let first = hosts.host().await;
    assert_eq!(said(&first.tick("tidy", true).await), "done");
    drop(first);
    hosts.at("12:31:00");
    assert_eq!(said(&hosts.host().await.tick("tidy", true).await), "ran");
}

#[tokio::test]
async fn a_clock_that_jumps_repeats_no_slot() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let times = ["12:10:00", "14:00:00", "12:00:00", "12:10:00", "13:59:59", "14:00:00", "14:10:00"];
    let mut ran = Vec::new();
    for time in times {
        hosts.at(time);
        if said(&host.tick("tidy", false).await) == "ran" {
            ran.push(time);
        }
    }
    assert_eq!(ran, ["12:10:00", "14:00:00", "14:10:00"]);
}

#[tokio::test]
async fn failures_and_panics_are_recorded_and_the_next_slot_is_the_next_try() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    hosts.script.timer(&["retry", "panic"]);
    for (slot, word) in [("12:10:00", "not now"), ("12:20:00", "it panicked: on purpose")] {
        hosts.at(slot);
        let outcome = host.tick("tidy", false).await;
        assert!(matches!(&outcome, Outcome::Retry(reason) if reason.contains(word)), "{outcome:?}");
        assert_eq!(said(&host.tick("tidy", false).await), "done");
        let last = host.timer().await.last.unwrap();
        assert_eq!(last.outcome, TimerOutcome::Failed);
        assert!(last.error.unwrap().contains(word));
    }
    hosts.at("12:30:00");
    assert_eq!(said(&host.tick("tidy", false).await), "ran");
}

#[tokio::test]
async fn the_last_fifty_runs_are_kept() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    for _ in 0..53 {
        hosts.pass(600);
        assert_eq!(said(&host.tick("tidy", false).await), "ran");
    }
    let runs: Vec<u64> = host.history().await.iter().map(|run| run.run).collect();
    assert_eq!(runs, (4..=53).collect::<Vec<_>>());
    hosts.pass(31 * 24 * 3600);
    assert_eq!(host.history().await, []);
}

#[tokio::test]
async fn an_operators_run_is_a_job_and_takes_no_slot() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let id = host.enqueue("every-tidy", json!(null), None).await;
    assert!(matches!(host.deliver(&id).await, Outcome::Done(_)));
    assert_eq!(host.job(&id).await.data.state.as_str(), "succeeded");
    hosts.script.timer(&["retry"]);
    let failing = host.enqueue("every-tidy", json!(null), None).await;
    assert!(matches!(host.deliver(&failing).await, Outcome::Done(_)));
    let failed = host.job(&failing).await.data;
    assert_eq!((failed.state.as_str(), failed.attempts), ("dead", 1));
    let slots: Vec<_> = host.history().await.iter().map(|run| run.slot).collect();
    assert_eq!(slots, [None, None]);
    hosts.at("12:10:00");
    assert_eq!(said(&host.tick("tidy", false).await), "ran");
}
