//! Alert rules, retention policies and settings: what can be written, and by whom.

use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::listed;

#[tokio::test(flavor = "multi_thread")]
async fn shipped_rules_can_be_changed_but_not_deleted() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let rules = team.viewer.get("/api/logging/alert-rules?limit=200").await.expect(200).body;
    let shipped: Vec<&Value> =
        rules["items"].as_array().unwrap().iter().filter(|rule| rule["builtIn"] == true).collect();
    assert_eq!(shipped.len(), 8);
    assert!(shipped.iter().all(|rule| rule["enabled"] == true));
    let path = format!("/api/logging/alert-rules/{}", shipped[0]["id"].as_str().unwrap());
    team.member.patch(&path, json!({"enabled": false})).await.expect_problem(403, "forbidden");
    let changed = team.admin.patch(&path, json!({"enabled": false})).await.expect(200);
    assert_eq!((&changed.body["enabled"], &changed.body["name"]), (&json!(false), &shipped[0]["name"]));
    team.admin.patch(&path, json!({"threshold": 7})).await.expect(200);
    team.admin.patch(&path, json!({"name": "Mine"})).await.expect_problem(422, "validation_failed");
    team.admin.delete(&path).await.expect_problem(409, "immutable");
    let off = team.admin.get("/api/logging/alert-rules?enabled=false").await.expect(200);
    assert_eq!(
        (&off.body["items"][0]["threshold"], off.body["items"].as_array().unwrap().len()),
        (&json!(7), 1)
    );
    // Elsewhere nothing has changed.
    assert_eq!(team.stranger.get(&path).await.expect(200).body["enabled"], true);
    platform.settle().await;
    let told = listed(&team.admin, "action=logging.alert-rule.updated").await;
    assert_eq!(told[0]["changes"], json!([{"path": "/enabled", "before": true, "after": false}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_rules_are_unique_and_faults_are_named() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let rule = |name: &str| json!({"name": name, "kind": "pattern"});
    let post = async |body: Value| team.admin.post("/api/logging/alert-rules", body).await;
    let made = post(rule("Mine")).await.expect(201);
    post(rule(" mine ")).await.expect_problem(409, "already_exists");
    post(rule("failed LOGINS of one identity")).await.expect_problem(409, "already_exists");
    let bad = json!({
        "name": "Bad", "kind": "rare", "groupBy": ["actor.id", "actor.id"], "threshold": 0, "windowSeconds": 59,
        "filter": {"actoin": "x"}, "severity": "loud",
    });
    let refused = post(bad).await;
    assert_eq!((refused.status.as_u16(), refused.body["errors"].as_array().unwrap().len()), (422, 5));
    let doubled = json!({"name": "Bad", "kind": "rare", "groupBy": ["actor.id", "actor.id"]});
    assert_eq!(post(doubled).await.text("/errors/0/code"), "duplicate");
    let grouped = json!({"name": "Bad", "kind": "rare", "groupBy": ["actor.id"]});
    assert_eq!(post(grouped).await.text("/errors/0/pointer"), "/groupBy");
    let path = made.header("location").to_owned();
    let etag = [("if-match", "\"stale\"")];
    let stale = team.admin.send(http::Method::DELETE, &path, None, &etag).await;
    stale.expect_problem(412, "etag_mismatch");
    team.stranger.get(&path).await.expect_problem(404, "not_found");
    team.admin.patch(&path, json!({"name": "Ours"})).await.expect(200);
    post(rule("mine")).await.expect(201);
    team.admin.delete(&path).await.expect(204);
    post(rule("ours")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_retention_waits_a_week() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let all = "/api/logging/retention-policies";
    let policies = team.viewer.get(all).await.expect(200);
    let shipped = policies.body["items"].as_array().unwrap().clone();
    assert_eq!((&shipped[0]["retentionDays"], &shipped[0]["match"]), (&json!(365), &json!({})));
    let path = format!("{all}/{}", shipped[0]["id"].as_str().unwrap());
    team.admin.get(&path).await.expect(200);
    team.admin.patch(&path, json!({"retentionDays": 400})).await.expect_problem(409, "immutable");
    team.admin.delete(&path).await.expect_problem(409, "immutable");

    let policy = |days: u32| json!({"match": {"category": "custom"}, "retentionDays": days});
    team.member.post(all, policy(400)).await.expect_problem(403, "forbidden");
    team.admin.post(all, policy(29)).await.expect_problem(422, "validation_failed");
    let made = team.admin.post(all, policy(400)).await.expect(201);
    assert_eq!(made.body["changesAt"], Value::Null);
    team.admin.post(all, policy(500)).await.expect_problem(409, "already_exists");
    let path = made.header("location").to_owned();
    let longer = team.admin.patch(&path, json!({"retentionDays": 500})).await.expect(200);
    assert_eq!((&longer.body["changesAt"], &longer.body["formerDays"]), (&Value::Null, &Value::Null));
    let shorter = team.admin.patch(&path, json!({"retentionDays": 60})).await.expect(200);
    assert_eq!(
        (&shorter.body["formerDays"], &shorter.body["changesAt"]),
        (&json!(500), &json!("2026-01-12T12:01:00Z"))
    );
    team.admin.patch(&path, json!({"immutable": true})).await.expect(200);
    team.admin.patch(&path, json!({"retentionDays": 59})).await.expect_problem(409, "immutable");
    team.admin.delete(&path).await.expect_problem(409, "immutable");
    let other = json!({"match": {"actionPrefix": "test."}, "retentionDays": 60});
    let other = team.admin.post(all, other).await.expect(201);
    assert_eq!(other.body["formerDays"], 365);
    team.admin.delete(other.header("location")).await.expect(204);
    let ending = team.admin.get(other.header("location")).await.expect(200);
    assert_eq!(ending.body["endsAt"], "2026-01-12T12:01:00Z");
    team.admin
        .patch(other.header("location"), json!({"retentionDays": 90}))
        .await
        .expect_problem(409, "invalid_state");
    platform.clock.advance(SignedDuration::from_hours(24 * 7));
    platform.advance(SignedDuration::from_hours(24)).await;
    let admin = platform.login(&team.admin.email).await;
    admin.get(other.header("location")).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_decide_what_is_captured() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let settings = team.viewer.get("/api/logging/settings").await.expect(200);
    assert_eq!(settings.body["capture"], json!({"ipAddress": true, "userAgent": true, "reads": false}));
    let bad = json!({"redactPatterns": ["ok", "(", "x*"], "redactKeys": ["--"], "legalHold": null});
    let refused = team.admin.patch("/api/logging/settings", bad).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "validation_failed"), "{:#}", refused.body);
    let change =
        json!({"capture": {"ipAddress": false}, "redactPatterns": ["EMP[0-9]+"], "redactKeys": ["iban"]});
    team.member.patch("/api/logging/settings", change.clone()).await.expect_problem(403, "forbidden");
    let changed = team.admin.patch("/api/logging/settings", change).await.expect(200);
    assert_eq!(changed.body["capture"]["userAgent"], true);
    let body = json!({"action": "a.b.c", "message": "EMP77 left", "metadata": {"customerIban": "DE00"}});
    let id = team.admin.post("/api/logging/entries", body).await.expect(202).text("/entryId");
    let entry = team.admin.get(&format!("/api/logging/entries/{id}")).await.expect(200).body;
    assert_eq!(
        (&entry["message"], &entry["metadata"]["customerIban"]),
        (&json!("[redacted] left"), &json!("[redacted]"))
    );
    assert_eq!(entry["actor"].get("ipAddress"), None);
    platform.settle().await;
    assert_eq!(listed(&team.admin, "action=logging.settings.updated").await.len(), 1);
}
