//! A stand-in for the notifications group: it takes messages and remembers them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use coder_handler::{Peer, Peers};
use http::StatusCode;
use serde_json::Value;

/// The messages so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Vec<Value>>>);

impl Mailbox {
    /// Lets others reach it.
    pub(crate) fn open(&self, peers: &Peers) {
        let taken = self.0.clone();
        let take = move |body: Bytes| async move {
            taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            (StatusCode::ACCEPTED, "{}")
        };
        let router = Router::new().route("/api/notifications/internal/messages", post(take));
        peers.register("notifications", Peer::InProcess(router));
    }

    /// Nobody answers any more.
    pub(crate) fn close(peers: &Peers) {
        peers.register("notifications", Peer::InProcess(Router::new()));
    }

    /// What was taken, oldest first.
    pub(crate) fn mails(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }
}
