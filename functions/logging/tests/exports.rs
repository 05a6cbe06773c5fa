//! Exports: written, downloaded, and gone.

use coder_logging::chain::{hex, sha256};
use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{listed, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_and_downloaded() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    post(&team.admin, "=HYPERLINK(\"x\")").await;
    post(&team.admin, "plain, with comma").await;
    platform.settle().await;
    let export = json!({"filter": {"category": "custom"}, "format": "csv"});
    let started = team.admin.post("/api/logging/exports", export).await.expect(202);
    assert_eq!((&started.body["status"], &started.body["progress"]), (&json!("queued"), &json!(0)));
    let path = started.header("location").to_owned();
    platform.settle().await;
    let done = team.admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&done["status"], &done["progress"], &done["entryCount"]),
        (&json!("succeeded"), &json!(100), &json!(2))
    );
    let file = team.admin.get(&format!("{path}/download")).await.expect(200);
    let id = done["id"].as_str().unwrap();
    assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"audit-{id}.csv\""));
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let text = file.body.as_str().unwrap();
    assert_eq!(
        (json!(text.len()), json!(hex(&sha256(&[text.as_bytes()])))),
        (done["sizeBytes"].clone(), done["sha256"].clone())
    );
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(lines[0].starts_with("seq,id,time,"));
    assert!(lines[1].contains("\"'=HYPERLINK(\"\"x\"\")\"") && lines[1].contains(",Admin,"), "{}", lines[1]);
    assert!(lines[2].contains("\"plain, with comma\"") && lines.len() == 4);
    for client in [&team.member, &team.viewer] {
        client.get(&path).await.expect_problem(403, "forbidden");
    }
    for path in [path.clone(), format!("{path}/download")] {
        team.stranger.get(&path).await.expect_problem(404, "not_found");
    }
    platform.settle().await;
    let acts = listed(&team.owner, "category=access").await;
    let mut seen: Vec<_> = acts.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["logging.export.completed", "logging.export.downloaded", "logging.export.requested"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_comes_whole_and_an_old_one_is_gone() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let entry = json!({"action": "a.b.c", "message": "m".repeat(1000), "metadata": {"x": "y".repeat(4000)}});
    let batch = json!({"entries": vec![entry; 300]});
    team.admin.post("/api/logging/entries/batch", batch).await.expect(200);
    let export = json!({"filter": {"action": "a.b.c"}});
    let path =
        team.admin.post("/api/logging/exports", export).await.expect(202).header("location").to_owned();
    let second =
        team.admin.post("/api/logging/exports", json!({})).await.expect(202).header("location").to_owned();
    let early = team.admin.get(&format!("{second}/download")).await;
    assert!(early.status == 200 || early.code() == "not_ready", "{early:?}");
    team.admin.delete(&second).await.expect(204);
    platform.settle().await;
    team.admin.get(&second).await.expect_problem(404, "not_found");
    let done = team.admin.get(&path).await.expect(200).body;
    assert!(done["chunks"].as_u64().unwrap() >= 2, "{done}");
    let file = team.admin.get(&format!("{path}/download")).await.expect(200);
    let text = file.body.as_str().unwrap();
    assert_eq!(json!(hex(&sha256(&[text.as_bytes()]))), done["sha256"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 300);
    assert!(lines.iter().all(|line| line.get("partitionKey").is_none()));
    platform.clock.advance(SignedDuration::from_hours(24 * 7));
    let admin = platform.login(&team.admin.email).await;
    admin.get(&format!("{path}/download")).await.expect_problem(410, "gone");
    platform.advance(SignedDuration::from_hours(25)).await;
    platform.login(&team.admin.email).await.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_refused() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    for body in [
        json!({"format": "xml"}),
        json!({"filter": {"unknown": 1}}),
        json!({"filter": {"from": "2020-01-01T00:00:00Z"}}),
        json!({"filter": {"severity": "loud"}, "extra": 1}),
    ] {
        let reply = team.admin.post("/api/logging/exports", body.clone()).await;
        assert_eq!(reply.status, 422, "{body}: {reply:?}");
    }
    team.member.post("/api/logging/exports", json!({})).await.expect_problem(403, "forbidden");
}
