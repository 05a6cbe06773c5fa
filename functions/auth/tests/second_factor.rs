//! Signing in with a second factor, and where an organization demands one.

use aws_lc_rs::hmac;
use coder_testkit::{Client, Reply, TestPlatform};
use data_encoding::BASE32_NOPAD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ADA, PASSWORD, ada, login};

/// The code that an authenticator app shows now (RFC 6238).
fn code(platform: &TestPlatform, secret: &str) -> String {
    let step = platform.platform.assembly.providers.ambient.now().as_second().unsigned_abs() / 30;
    let key =
        hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &BASE32_NOPAD.decode(secret.as_bytes()).unwrap());
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Sets up an authenticator app; answers its secret and the recovery codes. The clock moves past the code used.
async fn enrol(platform: &TestPlatform, person: &Client) -> (String, Vec<Value>) {
    let secret = person.post("/api/auth/mfa/totp", json!({})).await.expect(201).text("/secret");
    let body = json!({"code": code(platform, &secret)});
    let reply = person.post("/api/auth/mfa/totp/confirm", body).await;
    assert!(reply.status.is_success(), "{reply:?}");
    let codes = reply.body["recoveryCodes"].as_array().unwrap().clone();
    platform.clock.advance(SignedDuration::from_secs(60));
    (secret, codes)
}

async fn first_step(platform: &TestPlatform) -> String {
    login(platform, ADA, PASSWORD).await.expect(202).text("/mfaToken")
}

async fn second_step(platform: &TestPlatform, token: &str, field: &str, code: impl Into<Value>) -> Reply {
    let mut body = json!({"mfaToken": token});
    body[field] = code.into();
    platform.nobody().post("/api/auth/login/mfa", body).await
}

#[tokio::test]
async fn a_code_and_a_recovery_code_work_once() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (secret, recovery) = enrol(&platform, &ada).await;
    let token = first_step(&platform).await;
    let shown = code(&platform, &secret);
    let reply = second_step(&platform, &token, "code", shown.clone()).await.expect(200);
    let me = ada.with_token(reply.text("/accessToken")).get("/api/auth/me").await.expect(200);
    assert_eq!(me.body["session"]["amr"], json!(["pwd", "otp"]));
    second_step(&platform, &token, "code", shown.clone()).await.expect_problem(401, "invalid_credentials");
    let token = first_step(&platform).await;
    second_step(&platform, &token, "code", shown).await.expect_problem(401, "invalid_credentials");
    let one = recovery[0].clone();
    second_step(&platform, &token, "recoveryCode", one.clone()).await.expect(200);
    let token = first_step(&platform).await;
    second_step(&platform, &token, "recoveryCode", one).await.expect_problem(401, "invalid_credentials");
    let both = json!({"mfaToken": token, "code": "123456", "recoveryCode": "x"});
    platform.nobody().post("/api/auth/login/mfa", both).await.expect_problem(422, "validation_failed");
}

#[tokio::test]
async fn five_wrong_codes_burn_the_step_and_slow_the_next_one_down() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (secret, _) = enrol(&platform, &ada).await;
    let token = first_step(&platform).await;
    let right = code(&platform, &secret);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        second_step(&platform, &token, "code", wrong).await.expect_problem(401, "invalid_credentials");
    }
    second_step(&platform, &token, "code", right).await.expect_problem(401, "invalid_credentials");
    login(&platform, ADA, PASSWORD).await.expect_problem(429, "rate_limited");
    platform.clock.advance(SignedDuration::from_secs(30));
    let token = first_step(&platform).await;
    second_step(&platform, &token, "code", code(&platform, &secret)).await.expect(200);
}

#[tokio::test]
async fn a_step_lapses_after_five_minutes() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (secret, _) = enrol(&platform, &ada).await;
    let token = first_step(&platform).await;
    platform.clock.advance(SignedDuration::from_secs(301));
    let reply = second_step(&platform, &token, "code", code(&platform, &secret)).await;
    reply.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn where_it_is_demanded_only_setting_it_up_is_open() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    ada.patch("/api/auth/policy", json!({"mfaRequired": true})).await.expect(200);
    let reply = login(&platform, ADA, PASSWORD).await.expect(200);
    assert_eq!(reply.body["mfaEnrolmentRequired"], true);
    let limited = ada.with_token(reply.text("/accessToken"));
    limited.get("/api/auth/me").await.expect(200);
    limited.get("/api/auth/sessions").await.expect_problem(403, "mfa_required");
    limited.get("/api/users/teams").await.expect_problem(403, "mfa_required");
    enrol(&platform, &limited).await;
    let body = json!({"refreshToken": reply.text("/refreshToken")});
    let reply = platform.nobody().post("/api/auth/refresh", body).await.expect(200);
    assert_eq!(reply.body["mfaEnrolmentRequired"], false);
    ada.with_token(reply.text("/accessToken")).get("/api/auth/sessions").await.expect(200);
}

#[tokio::test]
async fn a_policy_keeps_passwords_out() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    ada.patch("/api/auth/policy", json!({"loginMethods": ["external"]})).await.expect(200);
    login(&platform, ADA, PASSWORD).await.expect_problem(403, "forbidden");
}
