//! Rotations by the clock: values that the platform makes, receivers that are told, failures.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use coder_testkit::Client;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{World, at, key_of, made};

/// What a receiver was told.
type Calls = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A receiver that answers so.
async fn receiver(status: StatusCode) -> (String, Calls) {
    let calls = Calls::default();
    let seen = calls.clone();
    let answer = move |headers: HeaderMap, body: Bytes| {
        let signature = headers["x-coder-signature"].to_str().unwrap().to_owned();
        seen.lock().unwrap().push((signature, body));
        async move { status }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/rotate", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/rotate", post(answer))).await });
    (url, calls)
}

async fn rotating(who: &Client, rotation: Value) -> String {
    let body = json!({"name": "STRIPE", "kind": "api_key", "value": {"key": "the-first-value"}, "rotation": rotation});
    made(who, body).await
}

async fn owner(world: &World) -> Client {
    world.platform.login(&world.team.owner.email).await
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_makes_a_value_when_it_is_due() {
    let world = World::start().await;
    let rotation = json!({
        "mode": "generate", "intervalDays": 2, "graceSeconds": 60,
        "generator": {"length": 24, "alphabet": "hex"},
    });
    let id = rotating(&world.team.owner, rotation).await;
    world.platform.advance(DAY).await;
    assert_eq!(key_of(&owner(&world).await, &id).await, "the-first-value");
    world.platform.advance(DAY).await;
    let owner = owner(&world).await;
    let value = key_of(&owner, &id).await;
    assert!(value.len() == 24 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{value}");
    let secret = owner.get(&at(&id)).await.expect(200);
    assert_eq!(secret.body["currentVersion"], 2);
    assert!(secret.text("/rotationState/nextRotationAt") > secret.text("/rotationState/lastRotatedAt"));
    let versions = owner.get(&format!("{}/versions", at(&id))).await.expect(200);
    assert_eq!(
        (&versions.body["items"][0]["cause"], &versions.body["items"][0]["createdBy"]),
        (&json!("rotation"), &json!("secrets.rotation"))
    );
    assert!(versions.body["items"][1]["graceUntil"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_without_the_value_and_sets_the_new_one() {
    let world = World::start().await;
    let (url, calls) = receiver(StatusCode::NO_CONTENT).await;
    let rotation = json!({"mode": "webhook", "intervalDays": 1, "webhookUrl": url});
    let id = rotating(&world.team.owner, rotation).await;
    let revealed = world.team.owner.post(&format!("{}/reveal", at(&id)), json!({})).await.expect(200);
    let key = revealed.text("/webhookSigningKey");
    world.platform.advance(DAY + SignedDuration::from_mins(1)).await;
    let told = calls.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    let body: Value = serde_json::from_slice(&told[0].1).unwrap();
    assert_eq!((&body["secretId"], &body["version"]), (&json!(id), &json!(1)));
    assert_eq!(body.as_object().unwrap().len(), 3);
    let expected = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes()),
        &told[0].1,
    );
    assert_eq!(told[0].0, format!("sha256={}", data_encoding::HEXLOWER.encode(expected.as_ref())));
    // It stays current until the receiver has set the new one.
    let owner = owner(&world).await;
    assert_eq!(key_of(&owner, &id).await, "the-first-value");
    owner
        .post(&format!("{}/versions", at(&id)), json!({"value": {"key": "from-the-receiver"}}))
        .await
        .expect(201);
    let secret = owner.get(&at(&id)).await.expect(200);
    assert!(secret.body["rotationState"]["pending"].is_null());
    assert!(!secret.body["rotationState"]["lastRotatedAt"].is_null());
    world.platform.advance(SignedDuration::from_hours(2)).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_is_asked_five_times() {
    let world = World::start().await;
    let (url, calls) = receiver(StatusCode::INTERNAL_SERVER_ERROR).await;
    let rotation = json!({"mode": "webhook", "intervalDays": 1, "webhookUrl": url});
    let id = rotating(&world.team.owner, rotation).await;
    world.platform.advance(DAY + SignedDuration::from_mins(1)).await;
    let state = async || world.stored(&id).await["rotationState"].clone();
    assert_eq!(
        (&state().await["failures"], &state().await["lastError"]),
        (&json!(1), &json!("refused_by_receiver"))
    );
    // Sooner than the pause nobody is called.
    world.platform.advance(SignedDuration::from_mins(10)).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
    for _ in 0..6 {
        world.platform.advance(SignedDuration::from_hours(3)).await;
    }
    assert_eq!(calls.lock().unwrap().len(), 5);
    assert_eq!((&state().await["failures"], &state().await["nextRotationAt"]), (&json!(5), &Value::Null));
    assert_eq!(key_of(&owner(&world).await, &id).await, "the-first-value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_yes_and_does_nothing_is_asked_again() {
    let world = World::start().await;
    let (url, calls) = receiver(StatusCode::OK).await;
    let rotation = json!({"mode": "webhook", "intervalDays": 1, "webhookUrl": url});
    let id = rotating(&world.team.owner, rotation).await;
    world.platform.advance(DAY + SignedDuration::from_mins(1)).await;
    world.platform.advance(SignedDuration::from_mins(75)).await;
    assert_eq!(world.stored(&id).await["rotationState"]["lastError"], "no_new_version");
    world.platform.advance(SignedDuration::from_mins(30)).await;
    assert_eq!(calls.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_up_has_to_be_sent() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let pair =
        json!({"name": "DB", "kind": "username_password", "value": {"username": "ada", "password": "old"}});
    let pair = made(owner, pair).await;
    owner.post(&format!("{}/rotate", at(&pair)), json!({})).await.expect(200);
    let value =
        owner.post(&format!("{}/reveal", at(&pair)), json!({})).await.expect(200).body["value"].clone();
    assert_eq!(value["username"], "ada");
    assert_ne!(value["password"], "old");
    let document = json!({"name": "DOC", "kind": "json", "value": {"document": {"a": 1}}});
    let document = made(owner, document).await;
    let refused = owner
        .post(&format!("{}/rotate", at(&document)), json!({}))
        .await
        .expect_problem(422, "validation_failed");
    assert_eq!(refused.body["errors"][0]["pointer"], "/value");
    let sent = json!({"value": {"document": {"a": 2}}});
    owner.post(&format!("{}/rotate", at(&document)), sent).await.expect(200);
    // A reminder leaves the value alone.
    let reminder = json!({"mode": "reminder", "intervalDays": 1});
    let id = rotating(owner, reminder).await;
    world.platform.advance(DAY + SignedDuration::from_mins(1)).await;
    let secret = world.stored(&id).await;
    assert_eq!(secret["currentVersion"], 1);
    assert!(secret["rotationState"]["nextRotationAt"].as_str().unwrap() > "2026-01-07");
}
