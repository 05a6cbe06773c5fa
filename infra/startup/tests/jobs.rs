//! One-time jobs: one run at a time, to an end that is recorded.

use coder_handler::functions::Outcome;
use coder_jobs::{JobRecord, JobState};
use serde_json::{Value, json};

use crate::hosts::{Host, Hosts};

fn said(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done(value) => value["outcome"].as_str().unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn set(host: &Host, id: &str, change: impl Fn(&mut JobRecord)) {
    let before = host.job(id).await;
    let mut data = before.data.clone();
    change(&mut data);
    let mut unit = host.begin();
    unit.replace(&before, data).unwrap();
    let _outbox = unit.commit().await.unwrap();
}

#[tokio::test]
async fn a_job_runs_once_however_often_it_is_delivered() {
    let hosts = Hosts::new();
    let (a, b) = (hosts.host().await, hosts.host().await);
    let id = a.enqueue("work", json!(["do"]), None).await;
    let (one, two) = tokio::join!(a.deliver(&id), b.deliver(&id));
    let mut both = [said(&one), said(&two)];
    both.sort_unstable();
    assert!(matches!(both, ["ended", "held" | "nothing"]), "{both:?}");
    assert_eq!(said(&a.deliver(&id).await), "nothing");
    assert_eq!(hosts.script.log(), ["work do 1"]);
    let record = a.job(&id).await;
    let job = &record.data;
    assert_eq!((job.state, job.attempts, job.progress), (JobState::Succeeded, 1, 100));
    assert_eq!((&job.result, &job.error, &job.lease), (&Some(json!({"attempt": 1})), &None, &None));
    assert_eq!(record.expires_at, Some("2026-02-04T12:01:00Z".parse().unwrap()));
    let count = r#"jobs_total{group="usage",job="work",outcome="succeeded"} 1"#;
    assert!(a.metrics().contains(count) != b.metrics().contains(count));
}

#[tokio::test]
async fn a_message_that_comes_while_the_job_runs_comes_again_later() {
    let hosts = Hosts::new();
    let (a, b) = (hosts.host().await, hosts.host().await);
    let id = a.enqueue("work", json!(["wait"]), None).await;
    let run = tokio::spawn({
        let (a, id) = (a.clone(), id.clone());
        async move { a.deliver(&id).await }
    });
    hosts.script.waits().await;
    assert_eq!(said(&b.deliver(&id).await), "held");
    let messages = b.messages(&id).await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1].1, Some("2026-01-05T12:02:01Z".parse().unwrap()));
    hosts.script.open();
    assert_eq!(said(&run.await.unwrap()), "ended");
    assert_eq!(said(&b.deliver(&id).await), "nothing");
    assert_eq!(hosts.script.log(), ["work wait 1"]);
}

#[tokio::test]
async fn a_killed_run_is_taken_over_and_the_old_one_writes_nothing() {
    let hosts = Hosts::new();
    let (a, b) = (hosts.host().await, hosts.host().await);
    let id = a.enqueue("work", json!(["wait", "do"]), None).await;
    let hung = tokio::spawn({
        let (a, id) = (a.clone(), id.clone());
        async move { a.deliver(&id).await }
    });
    hosts.script.waits().await;
    hosts.pass(60);
    assert_eq!(said(&b.deliver(&id).await), "ended");
    let after = b.job(&id).await;
    assert_eq!(after.data.result, Some(json!({"attempt": 2})));
    hosts.script.open();
    assert_eq!(said(&hung.await.unwrap()), "lost");
    assert_eq!(hosts.script.log()[2], "stopped 1: another run has taken over");
    assert_eq!(b.job(&id).await.data, after.data);
}

#[tokio::test]
async fn failures_are_tried_again_later_until_the_policy_ends() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let id = host.enqueue("careful", json!(["retry"]), None).await;
    assert_eq!(said(&host.deliver(&id).await), "ended");
    let job = host.job(&id).await.data;
    assert_eq!((job.state, job.attempts, job.error.as_deref()), (JobState::Failed, 1, Some("not now")));
    let wait = job.due_at.duration_since("2026-01-05T12:01:00Z".parse().unwrap()).as_secs();
    assert!((0..=500 * 3600).contains(&wait), "{wait}");
    // The message of the next attempt went with the record.
    let messages = host.messages(&id).await;
    assert_eq!((messages.len(), messages[1].1), (2, Some(job.due_at)));
    set(&host, &id, |job| job.due_at = "2026-01-05T12:10:00Z".parse().unwrap()).await;
    assert_eq!(said(&host.deliver(&id).await), "nothing");
    hosts.at("12:10:00");
    assert_eq!(said(&host.deliver(&id).await), "ended");
    let record = host.job(&id).await;
    assert_eq!((record.data.state, record.data.attempts), (JobState::Dead, 2));
    assert_eq!(record.data.error.as_deref(), Some("not now (given up after 2 runs that failed)"));
    assert!(record.expires_at.is_some());
    assert_eq!(host.messages(&id).await.len(), 2);
    assert!(host.metrics().contains(r#"jobs_total{group="usage",job="careful",outcome="dead"} 1"#));
}

#[tokio::test]
async fn a_panic_and_a_run_that_takes_too_long_are_failed_attempts_and_a_refusal_is_the_end() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let cases = [
        ("work", "panic", JobState::Failed, "it panicked: on purpose"),
        ("careful", "wait", JobState::Failed, "it ran longer than"),
        ("work", "fail", JobState::Dead, "never"),
    ];
    for (job, act, state, error) in cases {
        let id = host.enqueue(job, json!([act, "do"]), None).await;
        assert_eq!(said(&host.deliver(&id).await), "ended");
        let record = host.job(&id).await.data;
        assert_eq!(record.state, state, "{act}");
        assert!(record.error.as_ref().is_some_and(|text| text.contains(error)), "{record:?}");
    }
}

/// Makes a run of the job look as if its process had been killed.
async fn cut_off(host: &Host, id: &str, attempts: u32, cut_offs: u32) {
    set(host, id, |job| {
        job.state = JobState::Running;
        (job.attempts, job.cut_offs) = (attempts, cut_offs);
        job.lease = Some(coder_jobs::Lease::from("dead", job.due_at));
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_killed_every_time_is_given_up() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let id = host.enqueue("careful", json!(["do"]), None).await;
    cut_off(&host, &id, 3, 2).await;
    hosts.pass(59);
    assert_eq!(said(&host.deliver(&id).await), "held");
    hosts.pass(1);
    assert_eq!(said(&host.deliver(&id).await), "nothing");
    let record = host.job(&id).await;
    assert_eq!((record.data.state, record.data.attempts, record.data.cut_offs), (JobState::Dead, 3, 3));
    assert!(record.data.error.unwrap().contains("3 runs that were cut off"));
    assert!(record.expires_at.is_some());
    assert_eq!(hosts.script.log(), [""; 0]);
    assert!(host.metrics().contains(r#"jobs_total{group="usage",job="careful",outcome="dead"} 1"#));
}

#[tokio::test]
async fn a_run_that_is_killed_again_is_followed_by_another_after_a_wait() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let id = host.enqueue("careful", json!(["do"]), None).await;
    cut_off(&host, &id, 3, 1).await;
    hosts.pass(60);
    assert_eq!(said(&host.deliver(&id).await), "nothing");
    let job = host.job(&id).await.data;
    assert_eq!((job.state, job.attempts, job.cut_offs), (JobState::Failed, 3, 2));
    // The message of the next run went with the record.
    assert_eq!(host.messages(&id).await.last().unwrap().1, Some(job.due_at));
    hosts.pass(500 * 3600);
    assert_eq!(said(&host.deliver(&id).await), "ended");
    assert_eq!(host.job(&id).await.data.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_running_job_is_cancelled_at_its_next_step_and_a_waiting_one_never_starts() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let waiting = host.enqueue("work", json!(["do"]), None).await;
    set(&host, &waiting, |job| job.cancel_requested = true).await;
    assert_eq!(said(&host.deliver(&waiting).await), "nothing");
    assert_eq!(host.job(&waiting).await.data.state, JobState::Cancelled);

    let id = host.enqueue("work", json!(["pause"]), None).await;
    let run = tokio::spawn({
        let (host, id) = (host.clone(), id.clone());
        async move { host.deliver(&id).await }
    });
    hosts.script.waits().await;
    set(&host, &id, |job| job.cancel_requested = true).await;
    hosts.script.open();
    assert_eq!(said(&run.await.unwrap()), "ended");
    let job = host.job(&id).await;
    assert_eq!((job.data.state, job.data.progress), (JobState::Cancelled, 50));
    assert!(job.expires_at.is_some());
    assert_eq!(hosts.script.log()[1], "stopped 1: cancelled");
}

#[tokio::test]
async fn what_is_no_message_of_a_job_is_rejected() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let whole = json!({"subject": "j", "data": {
        "job": "work", "group": "usage", "container": "things", "partition": ["thing:1", "jobs"],
    }});
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut message = whole.clone();
        change(&mut message);
        message
    };
    let cases = [
        broken(&|message| message["data"]["job"] = json!("other")),
        broken(&|message| message["data"]["container"] = json!("users")),
        broken(&|message| message["data"]["partition"] = json!("thing:1")),
        broken(&|message| message["subject"] = json!(7)),
        json!({}),
    ];
    for message in cases {
        let envelope = json!({"Data": {"message": message}, "Metadata": {}});
        let outcome = host.running.functions.invoke("run-job", envelope, "i").await;
        // It is kept with the reason; to deliver it again would be of no use.
        assert_eq!(outcome, Outcome::Done(Value::Null), "{message}");
    }
    // A record that is gone, with its organization perhaps, is no fault.
    let envelope = json!({"Data": {"message": whole}, "Metadata": {}});
    assert_eq!(said(&host.running.functions.invoke("run-job", envelope, "i").await), "nothing");
}
