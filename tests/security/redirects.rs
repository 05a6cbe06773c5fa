//! Addresses that customers type and that lead elsewhere: an answer that redirects is not followed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use coder_testkit::TestPlatform;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

/// A server that counts who comes, and sends everybody from `/redirect…` to `/private`.
#[derive(Clone, Default)]
struct Visits {
    redirected: Arc<AtomicUsize>,
    private: Arc<AtomicUsize>,
}

async fn redirect(State(visits): State<Visits>, uri: http::Uri) -> (StatusCode, HeaderMap) {
    visits.redirected.fetch_add(1, Ordering::Relaxed);
    let status = uri.path().rsplit('/').next().and_then(|status| status.parse().ok()).unwrap_or(302);
    let location = HeaderMap::from_iter([(http::header::LOCATION, HeaderValue::from_static("/private"))]);
    (StatusCode::from_u16(status).unwrap(), location)
}

async fn private(State(visits): State<Visits>) -> &'static str {
    visits.private.fetch_add(1, Ordering::Relaxed);
    "the keys of the kingdom"
}

async fn listen(visits: Visits) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/redirect/{status}", any(redirect))
        .route("/private", any(private))
        .with_state(visits);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_follows_no_redirect() {
    let platform = TestPlatform::start().await;
    let owner = platform.register("olga@example.com", Some("Acme")).await;
    let visits = Visits::default();
    let address = listen(visits.clone()).await;
    for status in [301, 302, 303, 307, 308] {
        let hook = json!({"name": "Hook", "url": format!("http://{address}/redirect/{status}")});
        let hook = owner.post("/api/notifications/webhooks", hook).await.expect(201).text("/id");
        let tried =
            owner.post(&format!("/api/notifications/webhooks/{hook}/test"), json!({})).await.expect(200);
        assert_eq!((&tried.body["ok"], &tried.body["status"]), (&json!(false), &json!(status)), "{tried:?}");
        assert!(!tried.body.to_string().contains("kingdom"));
    }
    assert_eq!(visits.redirected.load(Ordering::Relaxed), 5);
    assert_eq!(visits.private.load(Ordering::Relaxed), 0);
}
