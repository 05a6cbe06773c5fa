//! Own sessions: listed, ended, moved to another organization, proved fresh.

use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{ADA, PASSWORD, ada, refresh};

#[tokio::test]
async fn lists_and_ends_sessions() {
    let platform = TestPlatform::start().await;
    let first = ada(&platform).await;
    let second = platform.login(ADA).await;
    let third = platform.login(ADA).await;
    let listed = second.get("/api/auth/sessions").await.expect(200);
    let items = listed.body["items"].as_array().unwrap().clone();
    assert_eq!((items.len(), items.iter().filter(|one| one["current"] == true).count()), (3, 1));
    let of = |client: &coder_testkit::Client| {
        let client = client.clone();
        async move { client.get("/api/auth/me").await.expect(200).text("/session/id") }
    };
    let first_id = of(&first).await;
    second.delete(&format!("/api/auth/sessions/{first_id}")).await.expect(204);
    first.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    refresh(&platform, &first.refresh_token).await.expect_problem(401, "unauthenticated");
    second.delete(&format!("/api/auth/sessions/{first_id}")).await.expect(204);
    let stranger = platform.register("eve@example.com", None).await;
    let third_id = of(&third).await;
    stranger.delete(&format!("/api/auth/sessions/{third_id}")).await.expect_problem(404, "not_found");
    let ended = second.post("/api/auth/sessions/revoke-others", json!({})).await.expect(200);
    assert_eq!(ended.body, json!({"revoked": 1}));
    third.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    second.get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn logging_out_ends_this_session_at_once() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let reply = ada.post("/api/auth/logout", json!({})).await.expect(204);
    assert!(reply.header("set-cookie").contains("Max-Age=0"));
    ada.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    refresh(&platform, &ada.refresh_token).await.expect_problem(401, "unauthenticated");
    // A login in the very same second is another session.
    platform.login(ADA).await.get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn the_oldest_of_more_than_twenty_falls_out() {
    let platform = TestPlatform::start().await;
    let first = ada(&platform).await;
    for _ in 0..20 {
        platform.clock.advance(SignedDuration::from_secs(1));
        platform.login(ADA).await;
    }
    first.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    let last = platform.login(ADA).await;
    let listed = last.get("/api/auth/sessions?limit=200").await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn works_in_another_organization_of_the_person_only() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let other = ada.post("/api/users/organizations", json!({"name": "Second"})).await.expect(201).text("/id");
    let switched =
        ada.post("/api/auth/switch-organization", json!({"organizationId": other})).await.expect(200);
    assert_eq!(switched.text("/organizationId"), other);
    assert!(switched.body["refreshToken"].is_null());
    let me = ada.with_token(switched.text("/accessToken")).get("/api/auth/me").await.expect(200);
    assert_eq!((me.text("/organizationId"), me.body["roles"].clone()), (other.clone(), json!(["owner"])));
    // The organization used last is chosen at the next login.
    assert_eq!(platform.login(ADA).await.organization_id.unwrap().to_string(), other);
    let stranger = platform.register("eve@example.com", None).await;
    let reply = stranger.post("/api/auth/switch-organization", json!({"organizationId": other})).await;
    reply.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_fresh_proof_renews_the_sign_in_time() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    platform.clock.advance(SignedDuration::from_mins(14));
    let wrong = ada.post("/api/auth/reauthenticate", json!({"password": "a wrong password"})).await;
    wrong.expect_problem(401, "invalid_credentials");
    ada.post("/api/auth/reauthenticate", json!({})).await.expect_problem(422, "validation_failed");
    let reply = ada.post("/api/auth/reauthenticate", json!({"password": PASSWORD})).await.expect(200);
    let me = ada.with_token(reply.text("/accessToken")).get("/api/auth/me").await.expect(200);
    assert_eq!(me.text("/session/authTime"), "2026-01-05T12:15:00Z");
}

#[tokio::test]
async fn twenty_live_however_many_sign_in_at_once() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    for _ in 0..18 {
        platform.login(ADA).await;
    }
    let sign_in = || crate::support::login(&platform, ADA, PASSWORD);
    let (a, b, c, d) = tokio::join!(sign_in(), sign_in(), sign_in(), sign_in());
    for reply in [a, b, c, d] {
        reply.expect(200);
    }
    platform.clock.advance(SignedDuration::from_secs(1));
    let ada = crate::support::all_stored(&platform, &user_partition(&platform).await, "session").await;
    let live = ada.iter().filter(|session| session["revokedAt"].is_null()).count();
    assert_eq!((ada.len(), live), (23, 20));
}

async fn user_partition(platform: &TestPlatform) -> String {
    let email = coder_auth::email::EmailAddress::parse(ADA).unwrap();
    let hash = email.hash();
    let claim = crate::support::stored(platform, &format!("email:{hash}"), &hash).await;
    format!("user:{}", claim["userId"].as_str().unwrap())
}
