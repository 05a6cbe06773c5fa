//! The group's own binary, alone, as the Functions host runs it.

use coder_testkit::{Client, HandlerProcess};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_coder-auth");

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_host_and_its_group_and_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let process = HandlerProcess::start(BINARY, directory.path(), &[]);
        let client = Client::nobody(&process.url, reqwest::Client::new());
        assert_eq!(client.get("/").await.expect(200).body, json!({"status": "ok"}));
        let timer = json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}});
        assert!(client.post("/every-rotate-signing-keys", timer).await.expect(200).body.is_object());
        // What nobody can read is kept as a dead letter; the host is told that it was taken.
        client.post("/on-event", json!({"Data": {"message": "no event"}})).await.expect(200);
        // Consumers have no functions of their own.
        client.post("/on-send-mail", json!({"Data": {}})).await.expect(404);
        client.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
        client.get("/api/users/me").await.expect_problem(404, "not_found");
        keys.push(client.get("/api/auth/.well-known/jwks.json").await.expect(200).body);
        // The process ends here by a kill, without a word.
    }
    assert_eq!(keys[0], keys[1], "a second process finds the first one's keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_users_group_it_says_so_and_lets_nobody_in() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = [("CODER_UPSTREAM_USERS", "http://127.0.0.1:9")];
    let process = HandlerProcess::start(BINARY, directory.path(), &nowhere);
    let client = Client::nobody(&process.url, reqwest::Client::new());
    let person =
        json!({"email": "ada@example.com", "password": "a long enough passphrase", "displayName": "Ada"});
    let refused = client.post("/api/auth/register", person).await.expect_problem(503, "unavailable");
    assert!(!refused.header("retry-after").is_empty());
}

#[test]
fn a_port_in_use_is_a_failure_that_the_host_sees() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, error) = HandlerProcess::refused(BINARY, directory.path(), port, &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains(&port.to_string()), "{error}");
    let some_azure = [("CODER_COSMOS_ENDPOINT", "https://x.documents.azure.com")];
    let (code, error) = HandlerProcess::refused(BINARY, directory.path(), 0, &some_azure);
    assert_eq!(code, Some(1));
    assert!(error.contains("CODER_KEYVAULT_URL"), "{error}");
}
