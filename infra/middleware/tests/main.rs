//! The request chain around a small router, observed from outside: which step answers when several would.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use coder_cache::{MemoryLimiter, Revocations};
use coder_config::Settings;
use coder_core::{Ambient, Caller, Failure, ManualClock, OsEntropy, Timestamp};
use coder_middleware::Identity;
use coder_middleware::chain::{ApiKeys, Authenticator, CallerCache, Chain};
use coder_middleware::token::{KeySource, ServiceTokens, TokenVerifier};
use coder_telemetry::Metrics;
use http_body_util::BodyExt as _;
use jsonwebtoken::jwk::Jwk;
use serde_json::Value;
use tower::ServiceExt as _;

#[derive(Debug)]
struct Nothing;

#[async_trait]
impl KeySource for Nothing {
    async fn public_keys(&self) -> Result<Vec<Jwk>, Failure> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ApiKeys for Nothing {
    async fn introspect(&self, _: &str, _: &Identity) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }
}

async fn run(State(chain): State<Arc<Chain>>, request: Request, next: Next) -> Response {
    Chain::run(chain, request, next).await
}

async fn panics() -> String {
    panic!("on purpose")
}

struct Fixture {
    router: Router,
    tokens: ServiceTokens,
    metrics: Metrics,
}

fn fixture(change: impl FnOnce(&mut Settings)) -> Fixture {
    let ambient = Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy);
    let mut settings = Settings::for_tests(".");
    change(&mut settings);
    let metrics = Metrics::new();
    let tokens = || ServiceTokens::new(ambient.clone(), &[1; 32]);
    let nothing = Arc::new(Nothing);
    let authenticator = Authenticator {
        ambient: ambient.clone(),
        verifier: TokenVerifier::new(ambient.clone(), "issuer".into(), nothing.clone()),
        services: tokens(),
        api_keys: nothing,
        revocations: Arc::new(Revocations::new(ambient.clone())),
        revokes_here: true,
        cache: CallerCache::default(),
        operators: BTreeSet::new(),
    };
    let chain = Arc::new(Chain {
        group: "test",
        ambient: ambient.clone(),
        settings: Arc::new(settings),
        metrics: metrics.clone(),
        limiter: Arc::new(MemoryLimiter::new(ambient.clone())),
        authenticator: Arc::new(authenticator),
        deadline: Duration::from_secs(10),
        body_limit: 100,
    });
    let router = Router::new()
        .route("/api/test/echo", post(|body: String| async { body }))
        .route("/api/test/panic", post(panics))
        .route("/api/test/hang", post(std::future::pending::<String>))
        .layer(from_fn_with_state(chain, run));
    Fixture { router, tokens: tokens(), metrics }
}

impl Fixture {
    async fn send(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> (u16, Value, http::HeaderMap) {
        let mut request = Request::builder().method("POST").uri(path).header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default(), parts.headers)
    }
}

#[tokio::test]
async fn each_step_answers_before_the_next() {
    let fixture = fixture(|settings| settings.limits.address_per_minute = 2);
    let large = "x".repeat(101);
    let bad_token = [("authorization", "Bearer rubbish")];
    // Size stands before the address limit: refusals of it use nothing up.
    for _ in 0..5 {
        let (status, problem, _) = fixture.send("/api/test/echo", &large, &bad_token).await;
        assert_eq!((status, problem["code"].as_str()), (413, Some("body_too_large")));
    }
    // Authentication does not refuse by itself: the operation decides.
    assert_eq!(fixture.send("/api/test/echo", "hello", &bad_token).await.0, 200);
    assert_eq!(fixture.send("/api/test/unknown", "", &[]).await.0, 404, "routing comes after the limits");
    // The address limit stands before authentication, routing and everything else.
    for path in ["/api/test/echo", "/api/test/unknown", "/api/test/panic"] {
        let (status, problem, headers) = fixture.send(path, "", &bad_token).await;
        assert_eq!((status, problem["code"].as_str()), (429, Some("rate_limited")), "{path}");
        assert_eq!(headers["retry-after"], "30");
        assert_eq!(headers["ratelimit-limit"], "2");
        assert!(headers.contains_key("x-request-id"), "identification is the first step");
    }
    let page = fixture.metrics.render();
    assert!(page.contains("status=\"429\""), "refusals are measured: {page}");
    assert!(page.contains("authentication_failures_total{reason=\"unauthenticated\"} 1"), "{page}");
}

#[tokio::test]
async fn a_panic_becomes_an_answer_that_tells_nothing() {
    let (status, problem, headers) =
        fixture(|_| {}).send("/api/test/panic", "", &[("x-request-id", "request-42")]).await;
    assert_eq!((status, problem["code"].as_str()), (500, Some("internal")));
    assert_eq!(problem["requestId"], "request-42");
    assert_eq!(headers["x-request-id"], "request-42");
    assert!(!problem.to_string().contains("on purpose"));
}

#[tokio::test(start_paused = true)]
async fn work_without_end_is_given_up() {
    let (status, problem, _) = fixture(|_| {}).send("/api/test/hang", "", &[]).await;
    assert_eq!((status, problem["code"].as_str()), (504, Some("upstream_timeout")));
}

#[tokio::test]
async fn a_body_that_is_longer_than_it_says_is_cut_off() {
    let fixture = fixture(|_| {});
    let request =
        Request::builder().method("POST").uri("/api/test/echo").body(Body::from("x".repeat(101))).unwrap();
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 413);
}

#[tokio::test]
async fn a_request_id_from_outside_must_be_plain() {
    let fixture = fixture(|_| {});
    for forged in ["short", "with space and more", "../../etc/passwd"] {
        let (_, _, headers) = fixture.send("/api/test/echo", "", &[("x-request-id", forged)]).await;
        assert_ne!(headers["x-request-id"], forged);
    }
}

#[tokio::test]
async fn service_tokens_are_for_one_audience_and_one_minute() {
    let fixture = fixture(|_| {});
    let token = fixture.tokens.issue("users", "test", None).unwrap();
    let (status, _, _) =
        fixture.send("/api/test/echo", "", &[("authorization", &format!("Bearer {token}"))]).await;
    assert_eq!(status, 200);
    assert!(fixture.tokens.verify(&token, "test").is_ok());
    assert!(fixture.tokens.verify(&token, "auth").is_err(), "another audience");
    let strangers =
        ServiceTokens::new(Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy), &[2; 32]);
    assert!(strangers.verify(&token, "test").is_err(), "another key");
    let later = ManualClock::at(Timestamp::from_second(61).unwrap());
    let late = ServiceTokens::new(Ambient::new(later, OsEntropy), &[1; 32]);
    assert!(late.verify(&token, "test").is_err(), "a minute later");
}
