//! The group's own binary, alone, as the Functions host runs it.

use coder_testkit::{Client, HandlerProcess};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_coder-users");

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_host_and_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let process = HandlerProcess::start(BINARY, directory.path(), &[]);
    let client = Client::nobody(&process.url, reqwest::Client::new());
    assert_eq!(client.get("/").await.expect(200).body, json!({"status": "ok"}));
    let timer = json!({"Data": {"timer": {"IsPastDue": true}}, "Metadata": {}});
    for name in ["expire", "purge", "repair", "sweep-outbox", "repair-jobs"] {
        assert!(client.post(&format!("/every-{name}"), timer.clone()).await.expect(200).body.is_object());
    }
    // What nobody can read is kept as a dead letter; the host is told that it was taken.
    client.post("/on-event", json!({"Data": {"message": "no event"}})).await.expect(200);
    client.post("/on-login", json!({"Data": {"message": "no event"}})).await.expect(404);
    client.get("/api/users/me").await.expect_problem(401, "unauthenticated");
    client.get("/api/users/teams?code=host-key").await.expect_problem(401, "unauthenticated");
    client.get("/api/auth/me").await.expect_problem(404, "not_found");
}
