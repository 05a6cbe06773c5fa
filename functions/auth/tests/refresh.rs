//! Rotation of refresh tokens, and what happens to a stolen one.

use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{ada, all_stored, refresh, stored};

#[tokio::test]
async fn a_used_token_ends_the_session() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let newest = refresh(&platform, &ada.refresh_token).await.expect(200);
    platform.clock.advance(SignedDuration::from_secs(11));
    refresh(&platform, &ada.refresh_token).await.expect_problem(401, "token_reused");
    refresh(&platform, &newest.text("/refreshToken")).await.expect_problem(401, "unauthenticated");
    ada.with_token(newest.text("/accessToken"))
        .get("/api/auth/me")
        .await
        .expect_problem(401, "unauthenticated");
    let partition = format!("user:{}", ada.user_id.unwrap());
    let session = stored(&platform, &partition, &newest.text("/sessionId")).await;
    assert_eq!(session["revokedReason"], "reuse_detected");
    let audit = all_stored(&platform, &partition, "audit").await;
    assert!(audit.iter().any(|entry| entry["action"] == "refresh_session"), "{audit:?}");
}

#[tokio::test]
async fn two_tabs_get_the_same_pair() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let (first, second) =
        tokio::join!(refresh(&platform, &ada.refresh_token), refresh(&platform, &ada.refresh_token));
    let (first, second) = (first.expect(200), second.expect(200));
    assert_eq!(first.body["refreshToken"], second.body["refreshToken"]);
    platform.clock.advance(SignedDuration::from_secs(10));
    refresh(&platform, &ada.refresh_token).await.expect(200);
    refresh(&platform, &first.text("/refreshToken")).await.expect(200);
}

#[tokio::test]
async fn sessions_end_by_disuse_and_in_any_case() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let mut token = ada.refresh_token.clone();
    for _ in 0..2 {
        platform.clock.advance(SignedDuration::from_hours(24 * 13));
        token = refresh(&platform, &token).await.expect(200).text("/refreshToken");
    }
    platform.clock.advance(SignedDuration::from_hours(24 * 5));
    refresh(&platform, &token).await.expect_problem(401, "unauthenticated");
    let again = platform.login(&ada.email).await;
    platform.clock.advance(SignedDuration::from_hours(24 * 14));
    refresh(&platform, &again.refresh_token).await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_alike() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let mut changed = ada.refresh_token.clone();
    changed.replace_range(changed.len() - 2.., if changed.ends_with("AA") { "BA" } else { "AA" });
    for token in ["rt_", "nothing", &changed] {
        refresh(&platform, token).await.expect_problem(401, "unauthenticated");
    }
    platform.nobody().post("/api/auth/refresh", json!({})).await.expect_problem(401, "unauthenticated");
    refresh(&platform, &ada.refresh_token).await.expect(200);
}
