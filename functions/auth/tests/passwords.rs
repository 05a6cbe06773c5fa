//! Changing and resetting passwords.

use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ADA, PASSWORD, ada, link_token, login, mails, refresh};

const NEW: &str = "a wholly different sentence";

async fn forgot(platform: &TestPlatform, email: &str) -> Value {
    platform.nobody().post("/api/auth/password/forgot", json!({"email": email})).await.expect(202).body
}

#[tokio::test]
async fn a_reset_link_works_once_and_ends_every_session() {
    let platform = TestPlatform::start().await;
    let first = ada(&platform).await;
    let second = platform.login(ADA).await;
    assert_eq!(forgot(&platform, ADA).await, forgot(&platform, "nobody@example.com").await);
    let mails = mails(&platform).await;
    assert!(!mails.iter().any(|mail| mail["to"] == "nobody@example.com"));
    let token = link_token(&mails, "account.reset-password", ADA);
    let body = |password: &str| json!({"token": token, "newPassword": password});
    let nobody = platform.nobody();
    // A password that breaks a rule does not use the link up.
    nobody.post("/api/auth/password/reset", body("short")).await.expect_problem(422, "validation_failed");
    nobody.post("/api/auth/password/reset", body(PASSWORD)).await.expect_problem(422, "validation_failed");
    nobody.post("/api/auth/password/reset", body(NEW)).await.expect(204);
    nobody.post("/api/auth/password/reset", body(NEW)).await.expect_problem(410, "link_expired");
    for client in [first, second] {
        refresh(&platform, &client.refresh_token).await.expect_problem(401, "unauthenticated");
        client.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    }
    login(&platform, ADA, PASSWORD).await.expect_problem(401, "invalid_credentials");
    login(&platform, ADA, NEW).await.expect(200);
}

#[tokio::test]
async fn of_two_resets_at_once_one_wins() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    forgot(&platform, ADA).await;
    let token = link_token(&mails(&platform).await, "account.reset-password", ADA);
    let reset = |password: &str| {
        let body = json!({"token": token, "newPassword": password});
        let nobody = platform.nobody();
        async move { nobody.post("/api/auth/password/reset", body).await.status.as_u16() }
    };
    let (one, two) = tokio::join!(reset("the first new sentence"), reset("the second new sentence"));
    let mut statuses = [one, two];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 410]);
}

#[tokio::test]
async fn a_reset_link_outlives_neither_an_hour_nor_another_password() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    forgot(&platform, ADA).await;
    let old = link_token(&mails(&platform).await, "account.reset-password", ADA);
    let change = json!({"currentPassword": PASSWORD, "newPassword": NEW});
    ada.post("/api/auth/password/change", change).await.expect(204);
    let reset = |token: String| {
        let body = json!({"token": token, "newPassword": "yet another sentence"});
        let nobody = platform.nobody();
        async move { nobody.post("/api/auth/password/reset", body).await }
    };
    reset(old).await.expect_problem(410, "link_expired");
    forgot(&platform, ADA).await;
    let late = link_token(&mails(&platform).await, "account.reset-password", ADA);
    platform.clock.advance(SignedDuration::from_secs(3601));
    reset(late).await.expect_problem(410, "link_expired");
    reset("nothing".into()).await.expect_problem(410, "link_expired");
}

#[tokio::test]
async fn a_change_keeps_this_session_and_ends_the_others() {
    let platform = TestPlatform::start().await;
    let here = ada(&platform).await;
    let elsewhere = platform.login(ADA).await;
    let change = |current: &str, new: &str| {
        let body = json!({"currentPassword": current, "newPassword": new});
        let here = here.clone();
        async move { here.post("/api/auth/password/change", body).await }
    };
    change("a wrong password", NEW).await.expect_problem(401, "invalid_credentials");
    let reply = change(PASSWORD, "ada").await.expect_problem(422, "validation_failed");
    assert_eq!(reply.body["errors"][0]["pointer"], "/newPassword");
    let reply = change(PASSWORD, PASSWORD).await.expect(422);
    assert_eq!(reply.body["errors"][0]["code"], "reused_password");
    change(PASSWORD, NEW).await.expect(204);
    here.get("/api/auth/me").await.expect(200);
    elsewhere.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    login(&platform, ADA, NEW).await.expect(200);
}

#[tokio::test]
async fn mails_to_one_address_are_few() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    // One mail went out at registration.
    for _ in 0..10 {
        forgot(&platform, ADA).await;
    }
    assert_eq!(mails(&platform).await.iter().filter(|mail| mail["to"] == ADA).count(), 3);
    let body = json!({"email": ADA});
    let reply = platform.nobody().post("/api/auth/password/forgot", body).await;
    reply.expect_problem(429, "rate_limited");
}
