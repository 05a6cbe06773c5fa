//! Moving an account to another address.

use coder_testkit::TestPlatform;
use serde_json::json;

use crate::support::{ADA, PASSWORD, ada, link_token, login, mails, registration};

const NEW: &str = "ada.lovelace@example.com";

#[tokio::test]
async fn moves_when_the_new_address_is_confirmed() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let reply = ada.post("/api/auth/email/change", json!({"newEmail": ADA})).await;
    reply.expect_problem(422, "validation_failed");
    ada.post("/api/auth/email/change", json!({"newEmail": NEW})).await.expect(202);
    let sent = mails(&platform).await;
    assert!(
        sent.iter().any(|mail| mail["topic"] == "account.email-change-requested" && mail["to"] == ADA),
        "{sent:?}"
    );
    login(&platform, NEW, PASSWORD).await.expect_problem(401, "invalid_credentials");
    let token = json!({"token": link_token(&sent, "account.change-email", NEW)});
    let nobody = platform.nobody();
    nobody.post("/api/auth/email/confirm", token.clone()).await.expect(204);
    nobody.post("/api/auth/email/confirm", token).await.expect_problem(410, "link_expired");
    login(&platform, ADA, PASSWORD).await.expect_problem(401, "invalid_credentials");
    login(&platform, NEW, PASSWORD).await.expect(200);
    // The profile follows.
    platform.settle().await;
    assert_eq!(ada.get("/api/users/me").await.expect(200).text("/email"), NEW);
    // The old address is free for others.
    nobody.post("/api/auth/register", registration(ADA)).await.expect(201);
}

#[tokio::test]
async fn an_address_that_somebody_has_gets_no_link() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    platform.register(NEW, None).await;
    ada.post("/api/auth/email/change", json!({"newEmail": NEW})).await.expect(202);
    assert!(!mails(&platform).await.iter().any(|mail| mail["topic"] == "account.change-email"));
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_not_taken_away() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    ada.post("/api/auth/email/change", json!({"newEmail": NEW})).await.expect(202);
    let token = json!({"token": link_token(&mails(&platform).await, "account.change-email", NEW)});
    platform.register(NEW, None).await;
    let reply = platform.nobody().post("/api/auth/email/confirm", token).await;
    reply.expect_problem(409, "already_exists");
    login(&platform, ADA, PASSWORD).await.expect(200);
}
