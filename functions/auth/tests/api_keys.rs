//! API keys: what they allow, and how they end.

use coder_testkit::{Client, Reply, Team, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ada, stored};

const KEYS: &str = "/api/auth/api-keys";

fn reading() -> Value {
    json!({"name": "Build", "permissions": ["users.project.read"]})
}

async fn make(who: &Client, body: Value) -> (String, Client) {
    let made = who.post(KEYS, body).await.expect(201);
    (made.text("/keyId"), who.with_api_key(made.text("/key")))
}

fn address(key_id: &str) -> String {
    format!("{KEYS}/{key_id}")
}

#[tokio::test]
async fn a_key_does_what_it_says_until_its_maker_leaves() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let (_, key) = make(&team.member, reading()).await;
    key.get("/api/users/projects").await.expect(200);
    let refused = key.post("/api/users/projects", json!({"name": "Other", "key": "OTH"})).await;
    let refused = refused.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("users.project.create"));

    let member = team.member.user_id.unwrap();
    team.owner.delete(&format!("/api/users/members/{member}")).await.expect(204);
    platform.settle().await;
    key.get("/api/users/projects").await.expect_problem(401, "unauthenticated");
    team.member.get("/api/users/projects").await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_key_is_shown_once_and_never_stored() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let made = ada.post(KEYS, reading()).await.expect(201);
    let (key, key_id) = (made.text("/key"), made.text("/keyId"));
    assert!(key.starts_with(&format!("ck_{key_id}_")) && key.len() == 69);
    assert_eq!(made.header("location"), address(&key_id));
    let secret = key.rsplit('_').next().unwrap();
    let listed = ada.get(KEYS).await.expect(200);
    assert_eq!(listed.text("/items/0/keyId"), key_id);
    let kept = stored(&platform, &format!("key:{key_id}"), &key_id).await;
    for text in [listed.body.to_string(), kept.to_string()] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(listed.body["items"][0].get("secretHash"), None);
}

#[tokio::test]
async fn an_idempotent_repeat_answers_the_same_key() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let body = reading();
    let headers = [("idempotency-key", "make-1")];
    let first = ada.send(Method::POST, KEYS, Some(&body), &headers).await.expect(201);
    let second = ada.send(Method::POST, KEYS, Some(&body), &headers).await.expect(201);
    assert_eq!(first.body, second.body);
    assert_eq!(ada.get(KEYS).await.expect(200).body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_gives_a_key_what_they_do_not_hold() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let wanted = |permissions: &[&str]| json!({"name": "Build", "permissions": permissions});
    for (permissions, missing) in [
        (&["users.role.create"][..], "users.role.create"),
        (&["users.*"], "users.agent.create"),
        (&["users.project.read", "auth.policy.update"], "auth.policy.update"),
    ] {
        let refused = team.member.post(KEYS, wanted(permissions)).await.expect_problem(403, "forbidden");
        assert!(refused.text("/detail").contains(missing), "{:?}", refused.body);
    }
    team.member.post(KEYS, wanted(&["*.*.read"])).await.expect(201);
    let unknown =
        team.member.post(KEYS, wanted(&["users.unicorn.read", "users", "users.project.read"])).await;
    let pointers: Vec<_> = faults(&unknown.expect(422)).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/permissions/1", "/permissions/0"]);
    team.member.post(KEYS, wanted(&["users.unicorn.read"])).await.expect_problem(422, "unknown_permission");
    let (_, key) = make(&team.owner, wanted(&["auth.*", "users.*"])).await;
    key.post(KEYS, reading()).await.expect_problem(403, "forbidden");
}

fn faults(reply: &Reply) -> Vec<(String, String)> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    let errors = reply.body["errors"].as_array().unwrap().iter();
    errors.map(|fault| (text(fault, "pointer"), text(fault, "code"))).collect()
}

#[tokio::test]
async fn every_fault_of_a_new_key_is_named_at_once() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    ada.patch("/api/auth/policy", json!({"apiKeyMaxDays": 30})).await.expect(200);
    let body = json!({
        "name": " ", "permissions": ["users.project.read"], "allowedCidrs": ["10.0.0.0/8", "somewhere"],
        "expiresAt": "2026-03-01T00:00:00Z",
        "scope": {"type": "organization", "id": "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f"},
    });
    let refused = ada.post(KEYS, body).await.expect(422);
    let pointers: Vec<_> = faults(&refused).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/name", "/allowedCidrs/1", "/scope/id", "/expiresAt"]);
    // Without a wish the policy decides.
    let made = ada.post(KEYS, reading()).await.expect(201);
    assert_eq!(made.text("/expiresAt"), "2026-02-04T12:01:00Z");
}

#[tokio::test]
async fn a_key_is_for_a_team_or_project_of_the_organization() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let project = |of: &Team| of.parameter("/api/users/projects/{projectId}", "projectId");
    let other = Team::of(&platform).await;
    let scoped = |kind: &str, id: &str| json!({"name": "k", "permissions": ["users.project.read"], "scope": {"type": kind, "id": id}});
    let nowhere = "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f";
    for (kind, id) in [("project", nowhere), ("team", nowhere), ("project", &project(&other))] {
        let refused = team.member.post(KEYS, scoped(kind, id)).await.expect(422);
        assert_eq!(faults(&refused), [("/scope".to_owned(), "not_found".to_owned())]);
    }
    team.member.post(KEYS, scoped("project", &project(&team))).await.expect(201);
}

#[tokio::test]
async fn a_key_is_narrowed_and_never_widened() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (key_id, key) = make(&ada, json!({"name": "Build", "permissions": ["users.*"]})).await;
    key.get("/api/users/teams").await.expect(200);
    let narrow = json!({"name": "Read", "permissions": ["users.project.read"]});
    let changed = ada.patch(&address(&key_id), narrow).await.expect(200);
    assert_eq!(
        (changed.text("/name"), changed.text("/permissions/0")),
        ("Read".into(), "users.project.read".into())
    );
    assert_eq!(ada.get(KEYS).await.expect(200).text("/items/0/name"), "Read");
    // What was verified is believed for half a minute.
    platform.clock.advance(SignedDuration::from_secs(31));
    key.get("/api/users/teams").await.expect_problem(403, "forbidden");
    let wide = json!({"permissions": ["users.*"], "expiresAt": "2026-12-01T00:00:00Z"});
    let refused = ada.patch(&address(&key_id), wide).await.expect(422);
    let expected =
        [("/permissions", "wider"), ("/expiresAt", "wider")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(faults(&refused), expected);
    ada.patch(&address(&key_id), json!({"scope": null, "status": "active"})).await.expect(422);
}

#[tokio::test]
async fn a_rotated_key_lives_on_for_the_overlap() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (old_id, old) = make(&ada, reading()).await;
    let made =
        ada.post(&format!("{}/rotate", address(&old_id)), json!({"overlapSeconds": 600})).await.expect(201);
    let new = ada.with_api_key(made.text("/key"));
    old.get("/api/users/projects").await.expect(200);
    new.get("/api/users/projects").await.expect(200);
    ada.post(&format!("{}/rotate", address(&old_id)), json!({})).await.expect_problem(409, "invalid_state");
    platform.clock.advance(SignedDuration::from_secs(631));
    old.get("/api/users/projects").await.expect_problem(401, "unauthenticated");
    new.get("/api/users/projects").await.expect(200);

    let next = format!("{}/rotate", address(&made.text("/keyId")));
    let last = ada.post(&next, json!({"overlapSeconds": 0})).await.expect(201);
    new.get("/api/users/projects").await.expect_problem(401, "unauthenticated");
    ada.with_api_key(last.text("/key")).get("/api/users/projects").await.expect(200);
}

#[tokio::test]
async fn owner_and_administrator_revoke_and_nobody_else() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let (key_id, key) = make(&team.member, reading()).await;
    let refused = team.viewer.delete(&address(&key_id)).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("auth.api-key.delete"));
    team.stranger.delete(&address(&key_id)).await.expect_problem(404, "not_found");
    team.stranger.delete(&address("no key")).await.expect_problem(404, "not_found");
    key.delete(&address(&key_id)).await.expect_problem(403, "forbidden");
    team.admin
        .post(&format!("{}/rotate", address(&key_id)), json!({}))
        .await
        .expect_problem(403, "forbidden");
    key.get("/api/users/projects").await.expect(200);
    team.admin.delete(&address(&key_id)).await.expect(204);
    key.get("/api/users/projects").await.expect_problem(401, "unauthenticated");
    team.admin.delete(&address(&key_id)).await.expect(204);
    team.member.patch(&address(&key_id), json!({"name": "Again"})).await.expect_problem(409, "invalid_state");

    let own = team.member.get(KEYS).await.expect(200);
    assert_eq!(own.text("/items/0/status"), "revoked");
    team.member.get(&format!("{KEYS}?scope=organization")).await.expect_problem(403, "forbidden");
    let all = team.admin.get(&format!("{KEYS}?scope=organization")).await.expect(200);
    let all = all.body["items"].as_array().unwrap();
    assert!(all.len() == 2 && all.iter().any(|one| one["keyId"] == json!(key_id)), "{all:?}");
}

#[tokio::test]
async fn a_key_works_from_its_networks_only() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let from = |network: &str| json!({"name": "Build", "permissions": ["users.project.read"], "allowedCidrs": [network]});
    let (_, here) = make(&ada, from("127.0.0.0/8")).await;
    let (_, elsewhere) = make(&ada, from("203.0.113.0/24")).await;
    here.get("/api/users/projects").await.expect(200);
    elsewhere.get("/api/users/projects").await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_person_has_fifty_active_keys() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (first, _) = make(&ada, reading()).await;
    for _ in 1..50 {
        ada.post(KEYS, reading()).await.expect(201);
    }
    ada.post(KEYS, reading()).await.expect_problem(409, "limit_reached");
    ada.delete(&address(&first)).await.expect(204);
    ada.post(KEYS, reading()).await.expect(201);
}

#[tokio::test]
async fn the_limit_holds_for_requests_at_once() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    for _ in 0..48 {
        ada.post(KEYS, reading()).await.expect(201);
    }
    let make = || ada.post(KEYS, reading());
    let (a, b, c, d) = tokio::join!(make(), make(), make(), make());
    let mut answers = [a, b, c, d].map(|reply| reply.status.as_u16());
    answers.sort_unstable();
    assert_eq!(answers, [201, 201, 409, 409]);
    let listed = ada.get(&format!("{KEYS}?limit=200")).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn its_end_is_announced_and_comes() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (key_id, _) = make(&ada, reading()).await;
    let partition = format!("key:{key_id}");
    platform.advance(SignedDuration::from_hours(24 * 75)).await;
    assert_eq!(stored(&platform, &partition, &key_id).await["noticedDays"], Value::Null);
    platform.advance(SignedDuration::from_hours(24 * 2)).await;
    assert_eq!(stored(&platform, &partition, &key_id).await["noticedDays"], 14);
    platform.advance(SignedDuration::from_hours(24 * 12)).await;
    assert_eq!(stored(&platform, &partition, &key_id).await["noticedDays"], 1);
    platform.advance(SignedDuration::from_hours(24 * 2)).await;
    assert_eq!(stored(&platform, &partition, &key_id).await["status"], "expired");
}
