//! The target of a webhook: it fails twice, then takes everything.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, verify};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use data_encoding::HEXLOWER;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// Calls that are answered 500.
const FAILS: usize = 2;

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    signature: String,
    body: String,
    pub(super) taken: bool,
}

impl Call {
    /// The event that was posted.
    pub(super) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether the signature is that of the holder of the secret.
    pub(super) fn is_signed(&self, secret: &str) -> bool {
        let Some((time, tag)) = self.signature.split_once(",v1=") else { return false };
        let text = format!("{}.{}", time.trim_start_matches("t="), self.body);
        let key = Key::new(HMAC_SHA256, secret.as_bytes());
        verify(&key, text.as_bytes(), &HEXLOWER.decode(tag.as_bytes()).unwrap()).is_ok()
    }
}

/// The target.
pub(super) struct Receiver {
    pub(super) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let router = Router::new().route("/hook", post(take)).with_state(calls.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, calls }
    }

    /// All calls so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn take(State(calls): State<Arc<Mutex<Vec<Call>>>>, headers: HeaderMap, body: String) -> StatusCode {
    let mut calls = calls.lock().unwrap();
    let signature = headers["coder-signature"].to_str().unwrap().to_owned();
    let taken = calls.len() >= FAILS;
    calls.push(Call { signature, body, taken });
    if taken { StatusCode::NO_CONTENT } else { StatusCode::INTERNAL_SERVER_ERROR }
}
