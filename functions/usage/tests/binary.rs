//! The group's own binary, alone, as the Functions host runs it.

use coder_testkit::{Client, HandlerProcess};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_coder-usage");

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_host_and_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let process = HandlerProcess::start(BINARY, directory.path(), &[]);
    let client = Client::nobody(&process.url, reqwest::Client::new());
    assert_eq!(client.get("/").await.expect(200).body, json!({"status": "ok"}));
    let timer = json!({"Data": {"timer": {"IsPastDue": true}}, "Metadata": {}});
    for name in ["expire", "roll", "budgets", "anomalies", "reconcile", "close"] {
        assert!(client.post(&format!("/every-{name}"), timer.clone()).await.expect(200).body.is_object());
    }
    client.get("/api/usage/quotas").await.expect_problem(401, "unauthenticated");
}
