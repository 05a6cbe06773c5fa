//! Timers and jobs in a whole platform: through the outbox, the broker and the local host.

use coder_testkit::{Client, Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

const OPERATIONS: &str = "/api/users/operations";

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_queues_runs_at_its_time_and_a_timer_at_its_slots() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let operator = team.member.user_id.unwrap();
    let platform = platform.restart_with(|settings| settings.operators.extend([operator])).await;
    let client = platform.login(&team.member.email).await;
    let queued = client.post(&format!("{OPERATIONS}/timers/expire/run"), json!({})).await.expect(202);
    let wanted = json!({"job": "every-expire", "at": "2026-01-05T12:45:00Z"});
    let later = client.post(&format!("{OPERATIONS}/jobs"), wanted).await.expect(202);
    platform.settle().await;
    let state = async |client: &Client, job: &Value| {
        let path = format!("{OPERATIONS}/jobs/{}", job["id"].as_str().unwrap());
        client.get(&path).await.expect(200).text("/state")
    };
    assert_eq!(state(&client, &queued.body).await, "succeeded");
    assert_eq!(state(&client, &later.body).await, "queued");

    platform.advance(SignedDuration::from_mins(10)).await;
    assert_eq!(state(&client, &later.body).await, "queued");
    // The slot of 12:40 is over when the job's time comes: of two that want the timer at once, one would wait.
    platform.advance(SignedDuration::from_mins(30)).await;
    platform.advance(SignedDuration::from_mins(4)).await;
    // The access token has run out meanwhile.
    let client = platform.login(&team.member.email).await;
    assert_eq!(state(&client, &later.body).await, "succeeded");
    let history = client.get(&format!("{OPERATIONS}/timers/expire/history")).await.expect(200).body;
    let mut slots: Vec<&Value> = history["runs"].as_array().unwrap().iter().map(|run| &run["slot"]).collect();
    slots.reverse();
    // Asked for; 12:10; what came due meanwhile, once; asked for, at its time.
    let told = json!([null, "2026-01-05T12:10:00Z", "2026-01-05T12:40:00Z", null]);
    assert_eq!(json!(slots), told, "{history:#}");
    let metrics = platform.nobody().get("/metrics").await.expect(200);
    let line = r#"jobs_total{group="users",job="expire",outcome="succeeded"} 4"#;
    assert!(metrics.body.as_str().unwrap().contains(line), "{}", metrics.body);
}
