//! Addresses of accounts whose registration ended before everything was written.

use coder_auth::email::EmailAddress;
use coder_core::Clock as _;
use coder_database::{Operation, PartitionKey};
use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ADA, PASSWORD, ada, login, registration, stored};

fn place() -> (String, String) {
    let hash = EmailAddress::parse(ADA).unwrap().hash();
    (format!("email:{hash}"), hash)
}

/// Puts the claim of the address back to where it stands before the last step of a registration.
async fn break_off(platform: &TestPlatform) {
    let (partition, id) = place();
    let mut body = stored(platform, &partition, &id).await;
    body["state"] = json!("pending");
    let expires_at = Some(platform.clock.now() + SignedDuration::from_secs(900));
    let store = &platform.platform.assembly.providers.store;
    let write = Operation::Upsert { id, body, expires_at };
    store.write("auth", &PartitionKey::single(partition), vec![write]).await.unwrap();
}

async fn state(platform: &TestPlatform) -> Value {
    let (partition, id) = place();
    stored(platform, &partition, &id).await["state"].clone()
}

#[tokio::test]
async fn a_login_or_another_registration_makes_the_claim_last() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    break_off(&platform).await;
    login(&platform, ADA, PASSWORD).await.expect(200);
    assert_eq!(state(&platform).await, "pending", "the registration may still be at work");
    platform.clock.advance(SignedDuration::from_mins(3));
    login(&platform, ADA, PASSWORD).await.expect(200);
    assert_eq!(state(&platform).await, "active");

    break_off(&platform).await;
    platform.clock.advance(SignedDuration::from_mins(3));
    platform
        .nobody()
        .post("/api/auth/register", registration(ADA))
        .await
        .expect_problem(409, "already_exists");
    assert_eq!(state(&platform).await, "active");
    platform.clock.advance(SignedDuration::from_mins(15));
    login(&platform, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_clock_gives_an_account_its_lapsed_address_back() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    break_off(&platform).await;
    platform.clock.advance(SignedDuration::from_mins(16));
    login(&platform, ADA, PASSWORD).await.expect_problem(401, "invalid_credentials");
    platform.advance(SignedDuration::from_mins(15)).await;
    assert_eq!(state(&platform).await, "active");
    login(&platform, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_claim_whose_account_has_moved_away_is_free_again() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let user = ada.user_id.unwrap().to_string();
    let partition = format!("user:{user}");
    let mut body = stored(&platform, &partition, &user).await;
    body["email"] = json!("moved@example.com");
    let write = Operation::Upsert { id: user, body, expires_at: None };
    let store = &platform.platform.assembly.providers.store;
    store.write("auth", &PartitionKey::single(partition), vec![write]).await.unwrap();
    let nobody = platform.nobody();
    let register = || nobody.post("/api/auth/register", registration(ADA));
    register().await.expect_problem(409, "already_exists");
    platform.clock.advance(SignedDuration::from_mins(3));
    register().await.expect(201);
}
