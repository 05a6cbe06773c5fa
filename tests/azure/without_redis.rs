//! Redis goes away under a running platform: limits are counted by each process for itself, sessions are judged by the
//! store's list, and nobody gets in who did not before.

use std::sync::Arc;

use coder_cache::Revocations;
use coder_handler::serve::{Limits, serve_with};
use coder_handler::server::surface;
use coder_platform::route_groups;
use coder_startup::assembly::DEADLINE;
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use coder_testkit::{Client, Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::json;
use tokio::net::TcpListener;

const ME: &str = "/api/auth/me";

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_in_each_process_by_itself() {
    let mut platform = TestPlatform::start_with(|settings| settings.limits.address_per_minute = 5).await;
    let nobody = platform.nobody();
    let jwks = "/api/auth/.well-known/jwks.json";
    for _ in 0..3 {
        nobody.get(jwks).await.expect(200);
    }
    if !platform.lose_redis() {
        return;
    }
    // The bucket in memory is a new one, and a limit it is.
    for _ in 0..5 {
        nobody.get(jwks).await.expect(200);
    }
    nobody.get(jwks).await.expect_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_rights_change_as_before() {
    let mut platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let other = team.member.login(&team.member.email).await;
    team.member.post("/api/auth/logout", json!({})).await.expect(204);
    team.member.get(ME).await.expect_problem(401, "unauthenticated");
    if !platform.lose_redis() {
        return;
    }
    // What was over stays over; what was not is believed; what ends now is over at once.
    team.member.get(ME).await.expect_problem(401, "unauthenticated");
    other.get(ME).await.expect(200);
    other.post("/api/auth/logout", json!({})).await.expect(204);
    other.get(ME).await.expect_problem(401, "unauthenticated");
    // Rights are asked for where they are kept.
    let project = json!({"name": "Later", "key": "LAT"});
    team.viewer.post("/api/users/projects", project.clone()).await.expect_problem(403, "forbidden");
    team.admin.post("/api/users/projects", project).await.expect(201);
    let ready = platform.nobody().get("/health/ready").await.expect(200);
    let cache = ready.body["dependencies"].as_array().unwrap().iter().find(|one| one["name"] == "cache");
    assert_eq!(cache.unwrap()["up"], false, "{}", ready.body);
}

/// Another process hears of it by the list in the store, and believes nobody before it has seen that.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_hears_of_the_end_of_a_session_by_the_store() {
    let mut platform = TestPlatform::start_with(|settings| {
        settings.public_url = "http://coder.example.com".parse().unwrap();
    })
    .await;
    let team = Team::of(&platform).await;
    if !platform.lose_redis() {
        return;
    }
    let beside = platform.beside().await;
    let there = Client::nobody(beside.url(), reqwest::Client::new()).with_token(team.member.token());
    there.get(ME).await.expect(200);
    team.member.post("/api/auth/logout", json!({})).await.expect(204);
    let assembly = &beside.assembly;
    assembly.directory.poll_revocations(&assembly.providers.revocations, None).await.unwrap();
    there.get(ME).await.expect_problem(401, "unauthenticated");
    beside.stop().await;
}

/// As it is in the cloud: `users` runs alone, and what `auth` has revoked comes as a list that it has to ask for. For a
/// minute the last one is good enough; after that nobody is believed, neither let in nor sent away.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_list_of_revocations_is_old_believes_nobody() {
    let platform = TestPlatform::start().await;
    let ada = platform.register("ada@example.com", Some("Acme")).await;
    let here = &platform.platform.assembly.providers;
    let revocations = Arc::new(Revocations::new(here.ambient.clone()));
    let alone = Providers { local: None, revocations: revocations.clone(), ..here.clone() };
    let users = route_groups().into_iter().filter(|group| group.name == "users").collect();
    let assembly = Assembly::start(alone, users, Arc::new(LeftForTheSweep)).await.unwrap();
    let (chain, health) = (assembly.chain("users", 1 << 20, DEADLINE), here.health.clone());
    let handler = surface(&assembly.groups[0], chain, health);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve_with(Limits::BEHIND_HOST, listener, handler, std::future::pending()));
    let there = Client::nobody(url, reqwest::Client::new()).with_token(ada.token());

    let me = "/api/users/me";
    let look = async || assembly.directory.poll_revocations(&revocations, None).await.unwrap();
    look().await;
    there.get(me).await.expect(200);
    platform.clock.advance(SignedDuration::from_secs(60));
    there.get(me).await.expect(200);
    platform.clock.advance(SignedDuration::from_secs(1));
    let refused = there.get(me).await.expect_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "5");
    look().await;
    there.get(me).await.expect(200);
}
