//! Who sees what, and what becomes of people who go.

use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{MONTH, bucket, entries, listed, overwrite, post, stored};

#[tokio::test(flavor = "multi_thread")]
async fn members_see_their_own_acts_and_strangers_nothing() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let project = json!({"name": "Rocket", "key": "RCK"});
    team.member.post("/api/users/projects", project).await.expect(201);
    let id = post(&team.admin, "the admin's").await;
    platform.settle().await;
    for client in [&team.member, &team.viewer] {
        client.get("/api/logging/entries").await.expect_problem(403, "forbidden");
        client.get(&format!("/api/logging/entries/{id}")).await.expect_problem(403, "forbidden");
    }
    let mine = team.member.get("/api/logging/my-activity").await.expect(200);
    let user = team.member.user_id.unwrap().to_string();
    let items = mine.body["items"].as_array().unwrap();
    assert!(items.iter().any(|item| item["action"] == "users.project.created"), "{items:?}");
    for item in items {
        assert_eq!(item["actor"]["id"], user);
        assert!(item.get("changes").is_none() && item.get("metadata").is_none());
    }
    team.stranger.get(&format!("/api/logging/entries/{id}")).await.expect_problem(404, "not_found");
    let page = team.admin.get("/api/logging/entries?limit=1").await.expect(200).text("/nextCursor");
    let foreign = format!("/api/logging/entries?limit=1&cursor={page}");
    team.stranger.get(&foreign).await.expect_problem(400, "invalid_query");
    let theirs = listed(&team.stranger, "").await;
    assert!(theirs.iter().all(|entry| entry["organizationId"] == json!(team.stranger.organization_id)));
    let hidden = team.admin.get("/api/logging/my-activity?limit=1").await.expect(200);
    let cursor = hidden.text("/nextCursor");
    let path = format!("/api/logging/my-activity?limit=1&cursor={cursor}");
    team.member.get(&path).await.expect_problem(400, "invalid_query");
    team.admin.get(&path).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_log_is_an_entry() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    listed(&team.admin, "category=custom").await;
    listed(&team.admin, "category=custom").await;
    let found = listed(&team.owner, "category=access").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["action"], "logging.entry.listed");
    assert_eq!(found[0]["actor"]["id"], json!(team.admin.user_id));
    assert_eq!(found[0]["metadata"]["filter"], json!({"category": "custom"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_and_the_chain_still_verifies() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let member = team.member.user_id.unwrap();
    let project = json!({"name": "Rocket", "key": "RCK"});
    team.member.post("/api/users/projects", project).await.expect(201);
    team.admin.post("/api/logging/exports", json!({})).await.expect(202);
    platform.settle().await;
    let before = entries(&platform, team.organization_id).await;
    let body = json!({"userId": member, "reason": "asked for it"});
    for client in [&team.admin, &team.member] {
        client.post("/api/logging/erasures", body.clone()).await.expect_problem(403, "forbidden");
    }
    let started = team.owner.post("/api/logging/erasures", body.clone()).await.expect(202);
    platform.settle().await;
    let seen = team.owner.get(started.header("location")).await.expect(200);
    assert_eq!((seen.text("/id"), seen.text("/status")), (started.text("/id"), "succeeded".to_owned()));
    team.admin.get(started.header("location")).await.expect_problem(403, "forbidden");
    team.stranger.get(started.header("location")).await.expect_problem(404, "not_found");
    let after = entries(&platform, team.organization_id).await;
    let mut erased = 0;
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((&old["seq"], &old["hash"], &old["id"]), (&new["seq"], &new["hash"], &new["id"]));
        if old["actor"]["id"] == json!(member) || old["metadata"]["userId"] == json!(member) {
            for field in ["message", "changes", "metadata", "payloadSalt"] {
                assert!(new.get(field).is_none(), "{field}: {new}");
            }
            assert_eq!(new["actor"].as_object().unwrap().len(), 2);
            assert_eq!(new["erased"]["reason"], "asked for it");
            erased += 1;
        } else if old["resourceId"] != json!(member) {
            assert_eq!(new.get("erased"), None);
        }
    }
    assert!(erased >= 2 && seen.body["entries"].as_u64().unwrap() >= erased, "{erased}: {:#}", seen.body);
    let verified = team.admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!(verified.body["valid"], true);
    assert!(verified.body["erased"].as_u64().unwrap() >= erased);
    // Whoever puts something back into an erased entry is found out.
    let mut bent = after.iter().find(|entry| entry.get("erased").is_some()).unwrap().clone();
    bent["actor"]["ipAddress"] = json!("192.0.2.1");
    let key = bucket(team.organization_id, MONTH);
    overwrite(&platform, &key, bent.clone()).await;
    let found = team.admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!(found.body["faults"], json!([{"seq": bent["seq"], "code": "payload_mismatch"}]));
    bent["actor"].as_object_mut().unwrap().remove("ipAddress");
    overwrite(&platform, &key, bent).await;
    let told = listed(&team.owner, "action=logging.erasure.*").await;
    assert_eq!(told.len(), 2, "{told:?}");
    // What was exported before may repeat what was erased.
    let exports = team.admin.get("/api/logging/exports").await.expect(200);
    assert_eq!(exports.body["items"], json!([]));
    let own = team.member.get("/api/logging/my-activity").await.expect(200);
    let created =
        own.body["items"].as_array().unwrap().iter().find(|one| one["action"] == "users.project.created");
    assert_eq!(
        (&created.unwrap()["message"], created.unwrap()["actor"].get("ipAddress")),
        (&json!(null), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_needs_a_fresh_sign_in_and_no_legal_hold() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let body = json!({"userId": team.member.user_id, "reason": "asked for it"});
    platform.settle().await;
    let key = bucket(team.organization_id, "config");
    team.owner.patch("/api/logging/settings", json!({"redactKeys": ["iban"]})).await.expect(200);
    let mut settings = stored(&platform, &key, "audit-settings").await.remove(0).body;
    settings["legalHold"] = json!({"reason": "Court order 7", "since": "2026-01-05T12:00:00Z"});
    overwrite(&platform, &key, settings).await;
    let refused =
        team.owner.post("/api/logging/erasures", body.clone()).await.expect_problem(409, "invalid_state");
    assert!(refused.text("/detail").contains("Court order 7"));
    let key = bucket(team.organization_id, MONTH);
    assert!(stored(&platform, &key, "entry").await.iter().all(|entry| entry.body.get("erased").is_none()));
    platform.clock.advance(SignedDuration::from_mins(14));
    let token = json!({"refreshToken": team.owner.refresh_token});
    let refreshed = platform.nobody().post("/api/auth/refresh", token).await.expect(200);
    platform.clock.advance(SignedDuration::from_mins(2));
    let owner = team.owner.with_token(refreshed.text("/accessToken"));
    owner.post("/api/logging/erasures", body).await.expect_problem(401, "reauthentication_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_organization_leaves_checkpoints_only() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    post(&team.owner, "to be gone").await;
    platform.settle().await;
    team.owner.post("/api/logging/checkpoints", json!({})).await.expect(201);
    let (organization, path) =
        (team.organization_id, format!("/api/users/organizations/{}", team.organization_id));
    let slug = team.owner.get("/api/users/organizations/current").await.expect(200).text("/slug");
    let confirm = json!({"confirm": slug});
    team.owner.send(http::Method::DELETE, &path, Some(&confirm), &[]).await.expect(202);
    platform.settle().await;
    for _ in 0..40 {
        platform.advance(SignedDuration::from_hours(24)).await;
    }
    let config = bucket(organization, "config");
    assert_eq!(stored(&platform, &bucket(organization, MONTH), "entry").await, []);
    assert_eq!(stored(&platform, &bucket(organization, MONTH), "head").await, []);
    assert!(!stored(&platform, &config, "checkpoint").await.is_empty());
    assert_eq!(stored(&platform, &config, "purged").await.len(), 1);
    // What came later is the platform's.
    let platforms = coder_database::PartitionKey(vec!["platform".into()]);
    let found = stored(&platform, &platforms, "entry").await;
    let about = |entry: &Value| entry["action"] == "users.organization.purged";
    assert!(found.iter().any(|document| about(&document.body)));
}
