//! Signing in by password: who gets in, who is slowed down, and what nobody learns.

use std::time::{Duration, Instant};

use coder_testkit::TestPlatform;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ADA, PASSWORD, ada, all_stored, login, without_request_id};

/// Five wrong passwords for each address in turn; the answers, and the median time of each.
async fn guess(platform: &TestPlatform, emails: [&str; 2]) -> (Vec<Value>, [Duration; 2]) {
    let mut times = [Vec::new(), Vec::new()];
    let mut bodies = Vec::new();
    for _ in 0..5 {
        for (email, times) in emails.into_iter().zip(&mut times) {
            let start = Instant::now();
            let reply =
                login(platform, email, "a wrong password").await.expect_problem(401, "invalid_credentials");
            times.push(start.elapsed());
            bodies.push(without_request_id(&reply));
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    (bodies, times.map(median))
}

#[tokio::test]
async fn wrong_passwords_slow_down_known_and_unknown_addresses_alike() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    let unknown = "nobody@example.com";
    let (mut bodies, _) = guess(&platform, [ADA, unknown]).await;
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    for email in [ADA, unknown] {
        let reply = login(&platform, email, PASSWORD).await.expect_problem(429, "rate_limited");
        let seconds: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
    }
    platform.clock.advance(SignedDuration::from_secs(30));
    login(&platform, ADA, PASSWORD).await.expect(200);
    login(&platform, ADA, "a wrong password").await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn known_and_unknown_addresses_take_the_same_time() {
    let platform = TestPlatform::start().await;
    let mut seen = Vec::new();
    // A difference of ours shows every time, one that other work on the machine makes does not.
    for round in 0..8 {
        let (known, unknown) = (format!("known-{round}@example.com"), format!("unknown-{round}@example.com"));
        platform.register(&known, None).await;
        let (_, [known, unknown]) = guess(&platform, [&known, &unknown]).await;
        if known.abs_diff(unknown) < Duration::from_millis(20) {
            return;
        }
        seen.push((known, unknown));
    }
    panic!("the times differ: {seen:?}");
}

#[tokio::test]
async fn guesses_at_once_are_worth_no_more() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    let guesses = (0..24).map(|guess| {
        let platform = &platform;
        async move { login(platform, ADA, &format!("wrong password {guess}")).await }
    });
    let replies = futures(guesses).await;
    assert!(replies.iter().all(|status| matches!(status, 401 | 429)), "{replies:?}");
    login(&platform, ADA, PASSWORD).await.expect_problem(429, "rate_limited");
}

async fn futures<F: Future<Output = coder_testkit::Reply>>(all: impl Iterator<Item = F>) -> Vec<u16> {
    let mut pending: Vec<_> = all.map(Box::pin).collect();
    let mut statuses = Vec::new();
    std::future::poll_fn(|context| {
        pending.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(reply) => {
                statuses.push(reply.status.as_u16());
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    statuses
}

#[tokio::test]
async fn a_cookie_is_for_allowed_origins_only() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    let body = json!({"email": ADA, "password": PASSWORD, "delivery": "cookie"});
    let nobody = platform.nobody();
    let from = |origin: &'static str| [("origin", origin)];
    let refused = nobody.post("/api/auth/login", body.clone()).await;
    refused.expect_problem(403, "forbidden");
    let evil = nobody.send(Method::POST, "/api/auth/login", Some(&body), &from("https://evil.example")).await;
    assert_eq!(evil.status, 403);
    let good = from("http://localhost:3000");
    let reply = nobody.send(Method::POST, "/api/auth/login", Some(&body), &good).await.expect(200);
    assert!(reply.body["refreshToken"].is_null());
    let cookie = reply.header("set-cookie").to_owned();
    for part in ["__Secure-coder_rt=rt_", "HttpOnly", "Secure", "SameSite=Strict", "Path=/api/auth"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    let sent = cookie.split(';').next().unwrap();
    let headers = [("cookie", sent), good[0]];
    let reply = nobody.send(Method::POST, "/api/auth/refresh", None, &headers).await.expect(200);
    assert!(reply.body["refreshToken"].is_null() && reply.header("set-cookie").contains("rt_"));
    let reply = nobody.send(Method::POST, "/api/auth/refresh", None, &[("cookie", sent)]).await;
    reply.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_login_leaves_a_trace_of_the_device_and_its_audit_entry() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let partition = format!("user:{}", ada.user_id.unwrap());
    assert_eq!(all_stored(&platform, &partition, "known-device").await.len(), 1);
    login(&platform, ADA, PASSWORD).await.expect(200);
    assert_eq!(all_stored(&platform, &partition, "known-device").await.len(), 1);
    let audit = all_stored(&platform, &partition, "audit").await;
    let entry = audit.iter().find(|entry| entry["action"] == "begin_login").unwrap();
    assert_eq!(entry["actor"]["id"], json!(ada.user_id));
    assert!(!entry.to_string().contains("salt\":\""), "{entry}");
}

/// How often a person was told of a new device.
async fn new_devices(ada: &coder_testkit::Client) -> usize {
    let told = ada.get("/api/notifications/inbox?topic=security.new-device").await.expect(200);
    told.body["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_first_sign_in_is_from_no_new_device_and_another_one_is() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    login(&platform, ADA, PASSWORD).await.expect(200);
    platform.settle().await;
    assert_eq!(new_devices(&ada).await, 0);
    let body = json!({"email": ADA, "password": PASSWORD});
    let browser = [("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")];
    for _ in 0..2 {
        ada.send(Method::POST, "/api/auth/login", Some(&body), &browser).await.expect(200);
    }
    platform.settle().await;
    assert_eq!(new_devices(&ada).await, 1);
}
