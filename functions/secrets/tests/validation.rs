//! What a wrong request is told: every fault, and never the value.

use coder_testkit::Reply;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{World, api_key, at};

const VALUE: &str = "hunter2-must-not-echo";

fn pointers(reply: &Reply) -> Vec<String> {
    let errors = reply.body["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors.iter().map(|one| one["pointer"].as_str().unwrap().to_owned()).collect();
    pointers.sort();
    pointers
}

#[track_caller]
fn silent(reply: Reply) -> Reply {
    assert!(!reply.body.to_string().contains("hunter2"), "{reply:?}");
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_named_and_no_value_comes_back() {
    let world = World::start().await;
    let owner = &world.team.owner;
    for (kind, value, expected) in [
        ("api_key", json!(VALUE), vec!["/value"]),
        ("api_key", json!([VALUE]), vec!["/value"]),
        ("api_key", json!({"kee": VALUE}), vec!["/value/kee", "/value/key"]),
        ("api_key", json!({"key": {"deep": VALUE}}), vec!["/value/key"]),
        (
            "username_password",
            json!({"username": 1, "password": [VALUE]}),
            vec!["/value/password", "/value/username"],
        ),
        ("ssh_key", json!({"privateKey": "k", "algorithm": VALUE}), vec!["/value/algorithm"]),
        ("certificate", json!({"certificatePem": VALUE}), vec!["/value/certificatePem"]),
        ("json", json!({"document": VALUE}), vec!["/value/document"]),
        ("env_set", json!({"variables": {"0X": VALUE}}), vec!["/value/variables/0X"]),
        ("api_key", json!({"key": format!("{VALUE}{}", "x".repeat(65_536))}), vec!["/value"]),
        ("api_key", json!({"key": format!("{VALUE}\u{0}")}), vec!["/value/key"]),
    ] {
        let body = json!({"name": "X", "kind": kind, "value": value});
        let reply = silent(owner.post("/api/secrets", body).await.expect(422));
        assert_eq!(pointers(&reply), expected, "{kind}");
    }
    let body = json!({
        "name": "X", "kind": "api_key", "value": {"key": 7}, "expiresAt": "2020-01-01T00:00:00Z",
        "rotation": {"mode": "webhook"}, "metadata": {"k": "x".repeat(257)}, "tags": ["\u{202e}"],
    });
    let reply = owner.post("/api/secrets", body).await.expect_problem(422, "validation_failed");
    let expected = [
        "/expiresAt",
        "/metadata/k",
        "/rotation/intervalDays",
        "/rotation/webhookUrl",
        "/tags/0",
        "/value/key",
    ];
    assert_eq!(pointers(&reply), expected);
    for (body, pointer) in [
        (json!({"name": "1X", "kind": "api_key", "value": {"key": VALUE}}), "/name"),
        (json!({"name": "X", "kind": VALUE, "value": {"key": VALUE}}), "/kind"),
        (json!({"name": "X", "value": {"key": VALUE}}), "/kind"),
        (json!({"name": "X", "kind": "api_key", "value": {"key": VALUE}, "folder": "a"}), "/folder"),
        (
            json!({"name": "X", "kind": "api_key", "value": {"key": VALUE}, "environment": "A"}),
            "/environment",
        ),
        (json!({"name": "X", "kind": "api_key", "value": {"key": VALUE}, "valeu": VALUE}), "/valeu"),
        (json!({"name": "X", "kind": "api_key", "value": {"key": VALUE}, "scope": "team"}), "/scopeId"),
        (json!({"name": "X", "kind": "api_key", "value": {"key": VALUE}, "scopeId": "x"}), "/scopeId"),
        (
            json!({"name": "X", "kind": "api_key", "value": {"key": VALUE}, "scope": "project",
                "scopeId": coder_core::id::EXAMPLE}),
            "/scopeId",
        ),
        (
            json!({"name": "X", "kind": "json", "value": {"document": {}}, "rotation": {"mode": "generate", "intervalDays": 3}}),
            "/rotation/mode",
        ),
        (
            json!({"name": "X", "kind": "api_key", "value": {"key": VALUE},
                "rotation": {"mode": "webhook", "intervalDays": 3, "webhookUrl": "https://10.0.0.1/x"}}),
            "/rotation/webhookUrl",
        ),
        (
            json!({"name": "X", "kind": "api_key", "value": {"key": VALUE},
                "rotation": {"mode": "webhook", "intervalDays": 3, "webhookUrl": "https://169.254.169.254/"}}),
            "/rotation/webhookUrl",
        ),
    ] {
        let reply = silent(owner.post("/api/secrets", body).await.expect(422));
        assert_eq!(pointers(&reply), [pointer]);
    }
    assert_eq!(owner.get("/api/secrets").await.expect(200).body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_request_echoes_a_value_either() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "value").await;
    let patched = owner.patch(&at(&id), json!({"value": {"key": VALUE}})).await;
    let patched = silent(patched.expect_problem(422, "unknown_field"));
    assert_eq!(pointers(&patched), ["/value"]);
    for fixed in ["name", "kind", "scope", "scopeId", "environment"] {
        owner.patch(&at(&id), json!({fixed: "other"})).await.expect_problem(422, "unknown_field");
    }
    for (path, body) in [
        ("versions", json!({"value": VALUE})),
        ("versions", json!({"value": {"key": VALUE}, "extra": VALUE})),
        ("versions", json!({"value": {"key": VALUE}, "expectedVersion": VALUE})),
        ("rotate", json!({"value": {"password": VALUE}})),
        ("rotate", json!({"value": {"key": VALUE}, "graceSeconds": -1})),
        ("reveal", json!({"field": VALUE, "version": VALUE})),
    ] {
        silent(owner.post(&format!("{}/{path}", at(&id)), body).await.expect(422));
    }
    let broken = format!("{{\"name\": \"X\", \"value\": {{\"key\": \"{VALUE}\"}}").into_bytes();
    silent(owner.send_bytes(Method::POST, "/api/secrets", Some(broken), &[]).await.expect(400));
    let twice = format!("{{\"value\": \"{VALUE}\", \"value\": \"{VALUE}\"}}").into_bytes();
    silent(owner.send_bytes(Method::POST, "/api/secrets", Some(twice), &[]).await.expect(400));
    let content = format!("{{\"A\": {{\"kind\": \"{VALUE}\", \"value\": {{}}}}}}");
    let import = json!({"format": "json", "content": content, "onConflict": "skip"});
    silent(owner.post("/api/secrets/import", import).await.expect(200));
    let odd: Value = json!({"references": [{"name": "X", "value": VALUE}, 7]});
    silent(owner.post("/api/secrets/resolve", odd).await.expect(422));
}
