//! Registration in all its modes.

use coder_config::{EmailVerification, Registration};
use coder_testkit::TestPlatform;
use http::Method;
use serde_json::json;

use crate::support::{ADA, PASSWORD, ada, link_token, login, mails, registration, stored};

#[tokio::test]
async fn registers_signs_in_and_knows_the_person() {
    let platform = TestPlatform::start().await;
    let reply =
        platform.nobody().post("/api/auth/register", registration(" Ada@Example.com ")).await.expect(201);
    assert_eq!(reply.body["tokenType"], "Bearer");
    assert_eq!(reply.header("cache-control"), "no-store");
    let reply = login(&platform, ADA, PASSWORD).await.expect(200);
    let me = platform.nobody().with_token(reply.text("/accessToken")).get("/api/auth/me").await.expect(200);
    assert_eq!((me.body["email"].as_str(), me.body["roles"][0].as_str()), (Some(ADA), Some("owner")));
    assert_eq!(me.body["session"]["current"], true);
    assert_eq!(me.body["memberships"][0]["organizationId"], me.body["organizationId"]);
    assert!(me.body["permissions"].as_array().unwrap().contains(&json!("auth.policy.update")));
    let user_id = me.text("/userId");
    let identity = stored(&platform, &format!("user:{user_id}"), &user_id).await;
    let hash = identity["passwordHash"].as_str().unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    for secret in ["passwordHash", "passwordHistory", "salt"] {
        assert!(!me.body.to_string().contains(secret));
    }
}

#[tokio::test]
async fn an_address_is_taken_once() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    let nobody = platform.nobody();
    nobody
        .post("/api/auth/register", registration("ADA@example.com"))
        .await
        .expect_problem(409, "already_exists");
    let both = || nobody.post("/api/auth/register", registration("new@example.com"));
    let (first, second) = tokio::join!(both(), both());
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn a_repeat_under_one_key_gets_the_first_answer() {
    let platform = TestPlatform::start().await;
    let body = registration(ADA);
    let key = [("idempotency-key", "one")];
    let nobody = platform.nobody();
    let first = nobody.send(Method::POST, "/api/auth/register", Some(&body), &key).await.expect(201);
    let again = nobody.send(Method::POST, "/api/auth/register", Some(&body), &key).await.expect(201);
    assert_eq!(first.body, again.body);
}

#[tokio::test]
async fn every_fault_is_named() {
    let platform = TestPlatform::start().await;
    let body = json!({"email": "x", "password": "", "nickname": "Ada"});
    let reply =
        platform.nobody().post("/api/auth/register", body).await.expect_problem(422, "validation_failed");
    let pointers: Vec<_> = reply.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    for pointer in ["/email", "/password", "/displayName", "/nickname"] {
        assert!(pointers.contains(&pointer), "{pointer} is not in {pointers:?}");
    }
    for (password, code) in [
        ("short", "too_short"),
        ("passwordpassword", "common_password"),
        ("AdaLovelace1", "contains_personal_data"),
    ] {
        let body = json!({"email": ADA, "password": password, "displayName": "Ada Lovelace"});
        let reply = platform.nobody().post("/api/auth/register", body).await.expect(422);
        let codes = reply.body["errors"].to_string();
        assert!(codes.contains(code), "{password}: {codes}");
    }
}

#[tokio::test]
async fn with_verification_a_known_address_gets_the_same_answer() {
    let platform =
        TestPlatform::start_with(|settings| settings.email_verification = EmailVerification::Required).await;
    let nobody = platform.nobody();
    let first = nobody.post("/api/auth/register", registration(ADA)).await.expect(202);
    login(&platform, ADA, PASSWORD).await.expect_problem(403, "email_unverified");
    login(&platform, ADA, "another long password").await.expect_problem(401, "invalid_credentials");
    let second = nobody.post("/api/auth/register", registration(ADA)).await.expect(202);
    assert_eq!(first.body, second.body);
    let mails = mails(&platform).await;
    let mut topics: Vec<_> = mails.iter().map(|mail| mail["topic"].as_str().unwrap()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["account.already-registered", "account.verify-email"]);
    let token = json!({"token": link_token(&mails, "account.verify-email", ADA)});
    nobody.post("/api/auth/verify-email", token.clone()).await.expect(204);
    nobody.post("/api/auth/verify-email", token).await.expect_problem(410, "link_expired");
    login(&platform, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_verification_link_lapses_and_is_sent_again() {
    let platform =
        TestPlatform::start_with(|settings| settings.email_verification = EmailVerification::Required).await;
    let nobody = platform.nobody();
    nobody.post("/api/auth/register", registration(ADA)).await.expect(202);
    let first = link_token(&mails(&platform).await, "account.verify-email", ADA);
    platform.clock.advance(jiff::SignedDuration::from_hours(25));
    nobody.post("/api/auth/verify-email", json!({"token": first})).await.expect_problem(410, "link_expired");
    for email in [ADA, "unknown@example.com"] {
        let reply = nobody.post("/api/auth/verify-email/resend", json!({"email": email})).await.expect(202);
        assert_eq!(reply.body, json!({"status": "mail_sent"}));
    }
    let mails = mails(&platform).await;
    assert!(mails.iter().all(|mail| mail["to"] == ADA), "{mails:?}");
    let token = json!({"token": link_token(&mails, "account.verify-email", ADA)});
    nobody.post("/api/auth/verify-email", token).await.expect(204);
}

#[tokio::test]
async fn registration_can_be_closed_or_for_the_invited() {
    let mut invited = registration(ADA);
    invited["invitationToken"] = json!("ot_nothing");
    for (mode, body) in [
        (Registration::Closed, registration(ADA)),
        (Registration::Closed, invited),
        (Registration::Invite, registration(ADA)),
    ] {
        let platform = TestPlatform::start_with(|settings| settings.registration = mode).await;
        let reply = platform.nobody().post("/api/auth/register", body).await;
        reply.expect_problem(403, "registration_closed");
    }
}

#[tokio::test]
async fn an_invited_person_joins_and_a_bad_invitation_frees_the_address() {
    let platform = TestPlatform::start().await;
    let owner = ada(&platform).await;
    let grace = platform.join(&owner, "grace@example.com", "member").await;
    assert_eq!(grace.organization_id, owner.organization_id);
    let mut body = registration("eve@example.com");
    body["invitationToken"] = json!("ot_nothing");
    let reply = platform.nobody().post("/api/auth/register", body).await;
    assert!((400..500).contains(&reply.status.as_u16()), "{reply:?}");
    platform.nobody().post("/api/auth/register", registration("eve@example.com")).await.expect(201);
}
