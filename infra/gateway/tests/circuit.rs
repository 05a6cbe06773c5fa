//! Circuits seen from outside, and what passes between the layers around the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::{Extension, Router};
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_gateway::{CircuitState, EdgeOptions, Gateway, RouteTable, Upstream};
use http::{HeaderMap, Request, Response};
use jiff::SignedDuration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::client::{Answer, exchange, read_until, send};
use crate::fakes::{Via, gateway, place};

const REQUEST: &[u8] = b"GET /api/usage/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n";

struct Scene {
    status: Arc<AtomicU16>,
    calls: Arc<AtomicUsize>,
    clock: ManualClock,
    gateway: Gateway,
    address: std::net::SocketAddr,
}

/// A gateway to a group that answers whatever `status` says, with `kind` for its media type.
async fn scene(kind: &'static str) -> Scene {
    let (status, calls) = (Arc::new(AtomicU16::new(503)), Arc::new(AtomicUsize::new(0)));
    let clock = ManualClock::at("2026-01-31T09:30:00Z".parse().unwrap());
    let (reads, counts) = (Arc::clone(&status), Arc::clone(&calls));
    let router = Router::new().fallback(move || {
        counts.fetch_add(1, Ordering::SeqCst);
        let answer = Response::builder().status(reads.load(Ordering::SeqCst)).header("content-type", kind);
        std::future::ready(answer.body(Body::from("{}")).unwrap())
    });
    let upstream = place(router, Via::InProcess).await;
    let options = EdgeOptions::new(Ambient::new(clock.clone(), OsEntropy));
    let (gateway, address) = gateway(upstream, options).await;
    Scene { status, calls, clock, gateway, address }
}

impl Scene {
    async fn ask(&self, times: usize) -> Answer {
        for _ in 1..times {
            exchange(self.address, REQUEST).await;
        }
        exchange(self.address, REQUEST).await
    }

    fn state(&self, name: &str) -> CircuitState {
        self.gateway.states().find(|(group, _)| group.name == name).unwrap().1
    }
}

#[tokio::test]
async fn a_failing_group_is_left_alone_and_probed_later() {
    let scene = scene("text/html").await;
    assert_eq!(scene.ask(5).await.status, 503);
    assert_eq!(scene.state("usage"), CircuitState::Open);
    assert_eq!(scene.state("ai"), CircuitState::Closed, "other groups go on");

    scene.status.store(200, Ordering::SeqCst);
    let refused = scene.ask(1).await;
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "30"));
    assert!(refused.body.contains(r#""code":"unavailable""#) && refused.body.contains("usage"));
    assert_eq!(scene.calls.load(Ordering::SeqCst), 5);

    scene.clock.advance(SignedDuration::from_secs(30));
    assert_eq!(scene.ask(1).await.status, 200);
    assert_eq!(scene.state("usage"), CircuitState::Closed);
}

#[tokio::test]
async fn what_callers_cause_never_counts() {
    let scene = scene("text/html").await;
    for status in [400, 401, 404, 409, 429, 500] {
        scene.status.store(status, Ordering::SeqCst);
        assert_eq!(scene.ask(6).await.status, status);
    }
    assert_eq!(scene.state("usage"), CircuitState::Closed);
}

#[tokio::test]
async fn a_handler_that_says_what_it_lacks_is_not_a_dead_one() {
    let scene = scene("application/problem+json").await;
    assert_eq!(scene.ask(8).await.body, "{}");
    assert_eq!(scene.calls.load(Ordering::SeqCst), 8);
    assert_eq!(scene.state("usage"), CircuitState::Closed);
}

#[tokio::test]
async fn a_slow_caller_does_not_open_the_circuit() {
    tokio::time::pause();
    let scene = scene("application/json").await;
    let read = Router::new().fallback(|body: axum::body::Bytes| std::future::ready(body));
    let (gateway, address) = gateway(Upstream::InProcess(read), EdgeOptions::new(Ambient::system())).await;
    for _ in 0..6 {
        let stalled = b"POST /api/usage/x HTTP/1.1\r\nhost: g\r\ncontent-length: 9\r\n\r\nabc";
        assert_eq!(exchange(address, stalled).await.status, 408);
    }
    assert!(gateway.states().all(|(_, state)| state == CircuitState::Closed));
    assert!(format!("{:?}", scene.gateway).contains("\"usage\": Closed"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_drips_its_body_is_given_up_and_blamed() {
    let read = Router::new().fallback(|body: axum::body::Bytes| std::future::ready(body));
    let (gateway, address) = gateway(Upstream::InProcess(read), EdgeOptions::new(Ambient::system())).await;
    let head = b"POST /api/usage/x HTTP/1.1\r\nhost: g\r\ncontent-length: 9\r\n\r\n";
    let mut caller = send(address, head).await;
    for _ in 0..2 {
        assert!(timeout(Duration::from_secs(12), caller.readable()).await.is_err(), "not yet");
        caller.write_all(b"a").await.unwrap();
    }
    let answer = read_until(&mut caller, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(gateway.states().all(|(_, state)| state == CircuitState::Closed));
}

#[tokio::test]
async fn a_remote_group_is_called_by_its_own_name() {
    let router = Router::new()
        .fallback(|headers: HeaderMap| async move { headers["host"].to_str().unwrap().to_owned() });
    let (_, address) = gateway(place(router, Via::Remote).await, EdgeOptions::new(Ambient::system())).await;
    let host = exchange(address, REQUEST).await.body;
    assert!(host.starts_with("127.0.0.1:"), "{host}");
}

#[tokio::test]
async fn evidence_of_outer_layers_reaches_a_group_in_this_process() {
    #[derive(Clone)]
    struct Evidence(&'static str);
    let router = Router::new().fallback(|Extension(evidence): Extension<Evidence>| async move { evidence.0 });
    let gateway =
        Gateway::new(RouteTable::PLATFORM, Ambient::system(), |_| Upstream::InProcess(router.clone()));
    let request = Request::get("/api/users").extension(Evidence("verified")).body(Body::empty()).unwrap();
    let answer = gateway.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
    assert_eq!(body, "verified");
}

#[tokio::test]
async fn a_refusal_repeats_only_a_plain_request_id() {
    let (_, address) = gateway(Upstream::Absent, EdgeOptions::new(Ambient::system())).await;
    for (sent, repeated) in [("0199-abc_D.9", true), ("short", false), ("<script>alert</script>", false)] {
        let request =
            format!("TRACE / HTTP/1.1\r\nhost: g\r\nconnection: close\r\nx-request-id: {sent}\r\n\r\n");
        let answer = exchange(address, request.as_bytes()).await;
        let id = &answer.headers["x-request-id"];
        assert_eq!((answer.status, id == sent), (405, repeated));
        assert!(answer.body.contains(&format!("\"requestId\":\"{id}\"")));
    }
}
