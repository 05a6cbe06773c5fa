//! Alerts: raised once, told, and turned.

use coder_testkit::{Client, Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{listed, post};

/// Titles of the notifications about alerts of a rule in somebody's inbox.
async fn told(client: &Client, rule: &str) -> Vec<String> {
    let page = client.get("/api/notifications/inbox?state=all&topic=audit.alert").await.expect(200);
    let titles = page.body["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap());
    titles.filter(|title| title.contains(rule)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failed_logins_raise_one_alert_and_tell_those_whom_the_rule_names() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.advance(SignedDuration::from_mins(1)).await;
    let fail = async || {
        let body = json!({"email": team.member.email, "password": "not the one 12345"});
        let status = platform.nobody().post("/api/auth/login", body).await.status.as_u16();
        assert!(matches!(status, 401 | 429), "{status}");
    };
    for _ in 0..4 {
        fail().await;
        platform.clock.advance(SignedDuration::from_secs(5));
    }
    platform.settle().await;
    platform.advance(SignedDuration::from_mins(1)).await;
    let alerts = async || {
        let list = team.admin.get("/api/logging/alerts?state=open").await.expect(200);
        let all = list.body["items"].as_array().unwrap().clone();
        all.into_iter().filter(|alert| alert["name"] == "Failed logins of one identity").collect::<Vec<_>>()
    };
    assert_eq!(alerts().await.len(), 0);
    fail().await;
    platform.settle().await;
    platform.advance(SignedDuration::from_mins(1)).await;
    let raised = alerts().await;
    assert_eq!(raised.len(), 1);
    assert_eq!((&raised[0]["count"], &raised[0]["severity"]), (&json!(5), &json!("warn")));
    let noted = listed(&team.admin, "action=logging.alert.raised").await;
    assert_eq!(noted.iter().filter(|entry| entry["metadata"]["name"] == raised[0]["name"]).count(), 1);
    let heard = async || {
        let mut heard = Vec::new();
        for client in [&team.owner, &team.admin, &team.member, &team.viewer, &team.stranger] {
            heard.push(told(client, "Failed logins of one identity").await.len());
        }
        heard
    };
    // The rule names owners and administrators.
    assert_eq!(heard().await, [1, 1, 0, 0, 0]);
    platform.clock.advance(SignedDuration::from_mins(2));
    fail().await;
    platform.settle().await;
    platform.advance(SignedDuration::from_mins(1)).await;
    let now = alerts().await;
    assert_eq!((now.len(), &now[0]["id"]), (1, &raised[0]["id"]));
    assert_ne!(now[0]["lastEntryId"], raised[0]["lastEntryId"]);
    assert_eq!(heard().await, [1, 1, 0, 0, 0]);
    let entry = format!("/api/logging/entries/{}", raised[0]["firstEntryId"].as_str().unwrap());
    assert_eq!(team.admin.get(&entry).await.expect(200).body["action"], "auth.login.failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_rule_is_tried_raises_and_its_alert_is_turned() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let rule = json!({
        "name": "Deploys", "kind": "pattern", "filter": {"action": "test.*", "q": "production"},
        "groupBy": ["actor.id"], "cooldownSeconds": 60,
        "notify": [{"type": "role", "id": "member"}, {"type": "user", "id": team.viewer.user_id}],
    });
    let rule = team.admin.post("/api/logging/alert-rules", rule).await.expect(201).text("/id");
    let test = async || {
        team.admin.post(&format!("/api/logging/alert-rules/{rule}/test"), json!({})).await.expect(200)
    };
    assert_eq!(test().await.body["raises"], false);
    post(&team.admin, "deployed to staging").await;
    post(&team.admin, "deployed to Production").await;
    let tried = test().await;
    assert_eq!((&tried.body["raises"], &tried.body["findings"][0]["count"]), (&json!(true), &json!(1)));
    let open = format!("/api/logging/alerts?ruleId={rule}");
    assert_eq!(team.admin.get(&open).await.expect(200).body["items"], json!([]));
    platform.advance(SignedDuration::from_mins(1)).await;
    let alert = team.admin.get(&open).await.expect(200);
    let id = alert.text("/items/0/id");
    assert_eq!(alert.text("/items/0/groupKey"), team.admin.user_id.unwrap().to_string());
    for (client, expected) in [(&team.member, 1), (&team.viewer, 1), (&team.owner, 0), (&team.admin, 0)] {
        assert_eq!(told(client, "Deploys").await.len(), expected);
    }
    let turn =
        async |verb: &str| team.admin.post(&format!("/api/logging/alerts/{id}/{verb}"), json!({})).await;
    team.member.get("/api/logging/alerts").await.expect_problem(403, "forbidden");
    team.stranger
        .post(&format!("/api/logging/alerts/{id}/close"), json!({}))
        .await
        .expect_problem(404, "not_found");
    turn("acknowledge").await.expect(200);
    turn("acknowledge").await.expect_problem(409, "invalid_state");
    turn("close").await.expect(200);
    turn("acknowledge").await.expect_problem(409, "invalid_state");
    // After the cool-down the rule speaks again.
    platform.clock.advance(SignedDuration::from_mins(2));
    post(&team.admin, "production again").await;
    platform.advance(SignedDuration::from_mins(1)).await;
    assert_eq!(team.admin.get(&open).await.expect(200).body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_never_did_is_rare_once() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let rule =
        json!({"name": "New things", "kind": "rare", "filter": {"action": "test.*"}, "cooldownSeconds": 60});
    let rule = team.admin.post("/api/logging/alert-rules", rule).await.expect(201).text("/id");
    let count = async || {
        platform.clock.advance(SignedDuration::from_mins(2));
        platform.advance(SignedDuration::from_mins(1)).await;
        let open = team.admin.get(&format!("/api/logging/alerts?ruleId={rule}")).await.expect(200);
        open.body["items"].as_array().unwrap().len()
    };
    post(&team.admin, "first").await;
    assert_eq!(count().await, 1);
    post(&team.admin, "second").await;
    assert_eq!(count().await, 1);
    post(&team.owner, "somebody else").await;
    assert_eq!(count().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_told_when_owners_change() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.advance(SignedDuration::from_mins(1)).await;
    let named = async || {
        let list = team.owner.get("/api/logging/alerts").await.expect(200);
        let all = list.body["items"].as_array().unwrap().clone();
        all.into_iter().filter(|one| one["name"] == "Owners or administrators changed").count()
    };
    // The admin of the test company joined as one.
    let before = named().await;
    assert_eq!(before, 1);
    let path = format!("/api/users/members/{}", team.member.user_id.unwrap());
    team.owner.patch(&path, json!({"roles": ["admin"]})).await.expect(200);
    platform.settle().await;
    platform.advance(SignedDuration::from_mins(1)).await;
    assert_eq!(named().await, before + 1);
}
