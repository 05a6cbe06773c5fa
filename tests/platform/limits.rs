//! Limits on how much and how often, as a caller meets them through the gateway.

use std::io::{Read as _, Write as _};

use coder_config::Limits;
use coder_testkit::{Client, Reply, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::json;

const JWKS: &str = "/api/auth/.well-known/jwks.json";
const TEAMS: &str = "/api/users/teams";

async fn limited(change: impl FnOnce(&mut Limits)) -> TestPlatform {
    TestPlatform::start_with(|settings| change(&mut settings.limits)).await
}

fn number(reply: &Reply, name: &str) -> u64 {
    let value = reply.header(name);
    assert!(!value.is_empty(), "no {name}: {reply:?}");
    value.parse().unwrap()
}

/// A refusal says which limit it was and when to come back, and the caller who waits that long is let in.
async fn refused_for_a_while(platform: &TestPlatform, limit: u64, send: impl AsyncFn() -> Reply) {
    let refused = send().await.expect_problem(429, "rate_limited");
    assert_eq!(
        (number(&refused, "ratelimit-limit"), number(&refused, "ratelimit-remaining")),
        (limit, 0),
        "{refused:?}"
    );
    assert!((1..=60).contains(&number(&refused, "ratelimit-reset")), "{refused:?}");
    let wait = number(&refused, "retry-after");
    assert!((1..=60).contains(&wait));
    assert!(refused.text("/detail").contains(&format!("the {limit} requests")), "{refused:?}");
    platform.clock.advance(SignedDuration::from_secs(i64::try_from(wait).unwrap()));
    assert_ne!(send().await.status.as_u16(), 429);
    send().await.expect_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_address() {
    let platform = limited(|limits| limits.address_per_minute = 5).await;
    let nobody = platform.nobody();
    for path in [JWKS, TEAMS, "/api/nothing", "/nothing", JWKS] {
        assert_ne!(nobody.get(path).await.status.as_u16(), 429, "{path}");
    }
    // What the client says of where it is changes nothing.
    let forged = [("x-forwarded-for", "203.0.113.9"), ("x-real-ip", "203.0.113.9")];
    refused_for_a_while(&platform, 5, async || nobody.send(Method::GET, JWKS, None, &forged).await).await;
    // A bad credential costs as much as none.
    platform.clock.advance(SignedDuration::from_mins(1));
    let guesser = nobody.with_token("guess");
    for _ in 0..5 {
        guesser.get(TEAMS).await.expect_problem(401, "unauthenticated");
    }
    refused_for_a_while(&platform, 5, async || guesser.get(TEAMS).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_user_whatever_the_credential() {
    let platform = limited(|limits| limits.user_per_minute = 10).await;
    let owner = platform.register("olga@example.com", Some("Acme")).await;
    let member = platform.join(&owner, "max@example.com", "member").await;
    let key = json!({"name": "Build", "permissions": ["users.team.read"]});
    let key = owner.with_api_key(owner.post("/api/auth/api-keys", key).await.expect(201).text("/key"));
    let other = platform.login("olga@example.com").await;
    platform.clock.advance(SignedDuration::from_mins(1));
    let credentials = [&owner, &key, &other];
    for turn in 0..10_usize {
        let reply = credentials[turn % 3].get(TEAMS).await.expect(200);
        assert_eq!(
            (number(&reply, "ratelimit-limit"), number(&reply, "ratelimit-remaining")),
            (10, 9 - turn as u64)
        );
        assert_eq!(reply.header("retry-after"), "");
    }
    for credential in credentials {
        refused_for_a_while(&platform, 10, async || credential.get(TEAMS).await).await;
    }
    member.get(TEAMS).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_organization() {
    let platform = limited(|limits| limits.organization_per_minute = 20).await;
    let owner = platform.register("olga@example.com", Some("Acme")).await;
    let member = platform.join(&owner, "max@example.com", "member").await;
    let stranger = platform.register("eve@example.com", Some("Elsewhere")).await;
    platform.clock.advance(SignedDuration::from_mins(1));
    for turn in 0..20_u64 {
        let who: &Client = if turn % 2 == 0 { &owner } else { &member };
        let reply = who.get(TEAMS).await.expect(200);
        assert_eq!(number(&reply, "ratelimit-remaining"), 19 - turn, "the tighter of the two is told");
    }
    refused_for_a_while(&platform, 20, async || member.get(TEAMS).await).await;
    owner.get(TEAMS).await.expect_problem(429, "rate_limited");
    stranger.get(TEAMS).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_public() {
    let platform = limited(|limits| limits.public_per_minute = 4).await;
    let owner = platform.register("olga@example.com", Some("Acme")).await;
    platform.clock.advance(SignedDuration::from_mins(1));
    let nobody = platform.nobody();
    // The bucket is one for all public operations, so that they cannot be tried in turn.
    let login = json!({"email": "olga@example.com", "password": "a wrong password"});
    nobody.post("/api/auth/login", login.clone()).await.expect_problem(401, "invalid_credentials");
    nobody.post("/api/auth/password/forgot", json!({"email": "x@example.com"})).await.expect(202);
    nobody.post("/api/auth/verify-email", json!({"token": "x"})).await;
    nobody.post("/api/auth/refresh", json!({"refreshToken": "rt_x"})).await;
    refused_for_a_while(&platform, 4, async || nobody.post("/api/auth/login", login.clone()).await).await;
    owner.get(TEAMS).await.expect(200);
    nobody.get(JWKS).await.expect(200);
}

/// Sends bytes as they are; answers the status line.
async fn raw(platform: &TestPlatform, request: Vec<u8>) -> String {
    let address = platform.platform.address;
    let answered = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // The server may answer and close before everything was sent.
        let _sent = stream.write_all(&request);
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    });
    answered.await.unwrap().lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_size() {
    let platform = TestPlatform::start().await;
    let owner = platform.register("olga@example.com", Some("Acme")).await;
    let team = |bytes: usize| {
        let body = json!({"name": "x"}).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len())).into_bytes()
    };
    let mib = 1024 * 1024;
    let post = async |body| owner.send_bytes(Method::POST, TEAMS, Some(body), &[]).await;
    post(team(mib + 1)).await.expect_problem(413, "body_too_large");
    let mut chunked = format!(
        "POST {TEAMS} HTTP/1.1\r\nhost: coder\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n",
        owner.token(),
        mib + 1
    )
    .into_bytes();
    chunked.extend(team(mib + 1));
    chunked.extend(b"\r\n0\r\n\r\n");
    let status = raw(&platform, chunked).await;
    assert!(status.contains(" 413 "), "{status}");

    let large = "x".repeat(33 * 1024);
    let headers = [("x-large", large.as_str())];
    owner.send(Method::GET, TEAMS, None, &headers).await.expect_problem(431, "headers_too_large");
    let many: Vec<String> = (0..120).map(|index| format!("x-{index}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(owner.send(Method::GET, TEAMS, None, &many).await.status.as_u16(), 431);
    let long = format!("{TEAMS}?q={}", "x".repeat(9 * 1024));
    owner.get(&long).await.expect_problem(414, "uri_too_long");

    assert_eq!(owner.get(TEAMS).await.expect(200).body["items"], json!([]), "nothing was made");
    post(team(mib)).await.expect(201);
}
