//! The second step of a login: what wrong codes cost, and where a policy closes a way in.

use coder_testkit::{Reply, TestPlatform};
use jiff::SignedDuration;
use serde_json::json;

use crate::authenticator::{enrol, next_code};
use crate::support::{ADA, PASSWORD, ada, login};

async fn first_step(platform: &TestPlatform) -> String {
    login(platform, ADA, PASSWORD).await.expect(202).text("/mfaToken")
}

async fn second_step(platform: &TestPlatform, token: &str, code: &str) -> Reply {
    platform.nobody().post("/api/auth/login/mfa", json!({"mfaToken": token, "code": code})).await
}

#[tokio::test]
async fn five_wrong_codes_burn_the_step_and_slow_the_next_one_down() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (secret, _) = enrol(&platform, &ada).await;
    let token = first_step(&platform).await;
    let right = next_code(&platform, &secret);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        second_step(&platform, &token, wrong).await.expect_problem(401, "invalid_credentials");
    }
    second_step(&platform, &token, &right).await.expect_problem(401, "invalid_credentials");
    login(&platform, ADA, PASSWORD).await.expect_problem(429, "rate_limited");
    platform.clock.advance(SignedDuration::from_secs(30));
    let token = first_step(&platform).await;
    second_step(&platform, &token, &next_code(&platform, &secret)).await.expect(200);
}

#[tokio::test]
async fn a_step_lapses_after_five_minutes() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (secret, _) = enrol(&platform, &ada).await;
    let token = first_step(&platform).await;
    platform.clock.advance(SignedDuration::from_secs(301));
    let reply = second_step(&platform, &token, &next_code(&platform, &secret)).await;
    reply.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_policy_keeps_passwords_out() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    ada.patch("/api/auth/policy", json!({"loginMethods": ["external"]})).await.expect(200);
    login(&platform, ADA, PASSWORD).await.expect_problem(403, "forbidden");
}
