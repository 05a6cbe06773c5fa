//! The second factor: set up, used, demanded, removed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_testkit::{Reply, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::authenticator::{code, enrol, next_code};
use crate::support::{ADA, PASSWORD, ada, login, refresh, stored};

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

async fn second_step(platform: &TestPlatform, first: &Reply, proof: &str, value: &str) -> Reply {
    let mut body = json!({"mfaToken": first.text("/mfaToken")});
    body[proof] = json!(value);
    platform.nobody().post("/api/auth/login/mfa", body).await
}

#[tokio::test]
async fn a_login_takes_a_code_once_and_a_recovery_code_once() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (secret, recovery) = enrol(&platform, &ada).await;
    assert_eq!(recovery.len(), 10);

    let first = login(&platform, ADA, PASSWORD).await.expect(202);
    let shown = next_code(&platform, &secret);
    let tokens = second_step(&platform, &first, "code", &shown).await.expect(200);
    assert_eq!(claims(&tokens.text("/accessToken"))["amr"], json!(["pwd", "otp"]));

    let again = login(&platform, ADA, PASSWORD).await.expect(202);
    second_step(&platform, &again, "code", &shown).await.expect_problem(401, "invalid_credentials");
    second_step(&platform, &again, "recoveryCode", &recovery[3]).await.expect(200);
    let third = login(&platform, ADA, PASSWORD).await.expect(202);
    second_step(&platform, &third, "recoveryCode", &recovery[3])
        .await
        .expect_problem(401, "invalid_credentials");

    let status = ada.get("/api/auth/mfa").await.expect(200);
    let expected = json!({"method": "totp", "pending": false, "recoveryCodesLeft": 9, "required": false});
    assert_eq!(status.body, expected);
}

#[tokio::test]
async fn nothing_is_set_up_before_the_first_code() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    ada.post("/api/auth/mfa/totp/confirm", json!({"code": "123456"}))
        .await
        .expect_problem(409, "invalid_state");
    ada.post("/api/auth/mfa/recovery-codes", json!({})).await.expect_problem(409, "invalid_state");
    ada.delete("/api/auth/mfa/totp").await.expect_problem(404, "not_found");

    let enrolment = ada.post("/api/auth/mfa/totp", json!({})).await.expect(201);
    let secret = enrolment.text("/secret");
    assert!(enrolment.text("/otpauthUri").contains(&secret));
    let stored = stored(&platform, &format!("user:{}", ada.user_id.unwrap()), "totp-factor").await;
    assert!(!stored.to_string().contains(&secret), "the secret is stored open");
    ada.post("/api/auth/mfa/totp/confirm", json!({"code": "12345x"}))
        .await
        .expect_problem(422, "validation_failed");
    login(&platform, ADA, PASSWORD).await.expect(200);

    // A second enrolment replaces the first; the old secret's codes are worth nothing then.
    let second = ada.post("/api/auth/mfa/totp", json!({})).await.expect(201).text("/secret");
    let old = json!({"code": code(&platform, &secret)});
    ada.post("/api/auth/mfa/totp/confirm", old).await.expect_problem(422, "validation_failed");
    let new = json!({"code": code(&platform, &second)});
    ada.post("/api/auth/mfa/totp/confirm", new).await.expect(200);
    ada.post("/api/auth/mfa/totp", json!({})).await.expect_problem(409, "invalid_state");
}

#[tokio::test]
async fn an_enrolment_lapses() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let secret = ada.post("/api/auth/mfa/totp", json!({})).await.expect(201).text("/secret");
    platform.clock.advance(SignedDuration::from_secs(601));
    let body = json!({"code": code(&platform, &secret)});
    ada.post("/api/auth/mfa/totp/confirm", body).await.expect_problem(409, "invalid_state");
}

#[tokio::test]
async fn removing_it_ends_the_other_sessions() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (secret, recovery) = enrol(&platform, &ada).await;
    let first = login(&platform, ADA, PASSWORD).await.expect(202);
    let shown = next_code(&platform, &secret);
    let other = second_step(&platform, &first, "code", &shown).await.expect(200);
    let fresh = ada.post("/api/auth/mfa/recovery-codes", json!({})).await.expect(200);
    assert!(!fresh.body.to_string().contains(&recovery[0]));

    ada.delete("/api/auth/mfa/totp").await.expect(204);
    ada.with_token(other.text("/accessToken"))
        .get("/api/auth/me")
        .await
        .expect_problem(401, "unauthenticated");
    refresh(&platform, &other.text("/refreshToken")).await.expect(401);
    ada.get("/api/auth/me").await.expect(200);
    login(&platform, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_policy_that_demands_it_opens_nothing_else() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    ada.patch("/api/auth/policy", json!({"mfaRequired": true})).await.expect(200);
    let tokens = login(&platform, ADA, PASSWORD).await.expect(200);
    assert_eq!(tokens.body["mfaEnrolmentRequired"], true);
    let limited = ada.with_token(tokens.text("/accessToken"));
    limited.get("/api/auth/api-keys").await.expect_problem(403, "mfa_required");
    limited.get("/api/auth/mfa").await.expect(200);
    enrol(&platform, &limited).await;
    let renewed = refresh(&platform, &tokens.text("/refreshToken")).await.expect(200);
    let free = ada.with_token(renewed.text("/accessToken"));
    free.get("/api/auth/api-keys").await.expect(200);
    free.delete("/api/auth/mfa/totp").await.expect_problem(409, "conflict");
}

#[tokio::test]
async fn an_old_sign_in_is_not_enough() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    platform.clock.advance(SignedDuration::from_mins(16));
    let renewed = refresh(&platform, &ada.refresh_token).await.expect(200);
    let later = ada.with_token(renewed.text("/accessToken"));
    for path in ["/api/auth/mfa", "/api/auth/external/logins"] {
        later.get(path).await.expect_problem(401, "reauthentication_required");
    }
    later.post("/api/auth/mfa/totp", json!({})).await.expect_problem(401, "reauthentication_required");
}
