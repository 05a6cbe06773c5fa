//! What still works while the users group is away.

use coder_testkit::TestPlatform;
use jiff::SignedDuration;

use crate::support::{ADA, PASSWORD, ada, bring_back, login, refresh, registration, take_away};

#[tokio::test]
async fn sessions_go_on_for_a_while_and_nobody_signs_in() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    take_away(&platform, "users");
    login(&platform, ADA, PASSWORD).await.expect_problem(503, "unavailable");
    platform.clock.advance(SignedDuration::from_mins(15));
    let reply = refresh(&platform, &ada.refresh_token).await.expect(200);
    assert_eq!(reply.body["organizationId"], serde_json::json!(ada.organization_id));
    platform.clock.advance(SignedDuration::from_mins(16));
    let token = reply.text("/refreshToken");
    refresh(&platform, &token).await.expect_problem(503, "unavailable");
    bring_back(&platform, "users");
    refresh(&platform, &token).await.expect(200);
    login(&platform, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_registration_that_failed_blocks_its_address_for_a_quarter_of_an_hour() {
    let platform = TestPlatform::start().await;
    take_away(&platform, "users");
    let register = || {
        let nobody = platform.nobody();
        async move { nobody.post("/api/auth/register", registration(ADA)).await }
    };
    register().await.expect_problem(503, "unavailable");
    bring_back(&platform, "users");
    register().await.expect_problem(409, "already_exists");
    platform.clock.advance(SignedDuration::from_mins(15));
    register().await.expect(201);
}
