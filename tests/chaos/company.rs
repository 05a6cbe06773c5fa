//! Whose platform it is: an owner, a member who is written to, an operator, an API key, and the target of a webhook.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use coder_core::UserId;
use coder_testkit::{Client, KillablePlatform};
use http::StatusCode;
use serde_json::{Value, json};

/// What the clients' key may do.
const PERMISSIONS: [&str; 7] = [
    "usage.event.create",
    "users.project.create",
    "users.project.read",
    "secrets.secret.create",
    "notifications.message.create",
    "logging.entry.create",
    "logging.export.create",
];

/// Takes every call; it lives as long as the test, through every kill.
#[derive(Debug)]
pub(crate) struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let router = Router::new().route("/hook", post(take)).with_state(taken.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, taken }
    }

    /// The ids of the events that were posted.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

async fn take(State(taken): State<Arc<Mutex<Vec<String>>>>, body: String) -> StatusCode {
    let event: Value = serde_json::from_str(&body).unwrap();
    taken.lock().unwrap().push(event["id"].as_str().unwrap().to_owned());
    StatusCode::NO_CONTENT
}

/// The people and what they have.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) olga: Client,
    pub(crate) max: Client,
    pub(crate) otto: Client,
    pub(crate) key: String,
    pub(crate) webhook: String,
    pub(crate) receiver: Receiver,
}

impl Company {
    pub(crate) async fn found(process: &KillablePlatform) -> Self {
        let (nobody, receiver) = (process.nobody(), Receiver::start().await);
        let olga = nobody.register("olga@example.com", Some("Acme")).await;
        let max = nobody.join(&olga, "max@example.com", "member").await;
        let otto = nobody.register("otto@example.com", Some("Platform")).await;
        let key = json!({"name": "Clients", "permissions": PERMISSIONS});
        let key = olga.post("/api/auth/api-keys", key).await.expect(201).text("/key");
        let webhook = json!({"name": "Chat", "url": receiver.url, "topics": ["announcement"]});
        let webhook = olga.post("/api/notifications/webhooks", webhook).await.expect(201).text("/id");
        Self { olga, max, otto, key, webhook, receiver }
    }

    /// Everybody signs in anew, to the process that runs now.
    pub(crate) async fn sign_in(&mut self, process: &KillablePlatform) {
        let nobody = process.nobody();
        for person in [&mut self.olga, &mut self.max, &mut self.otto] {
            *person = nobody.login(&person.email.clone()).await;
        }
    }

    /// Who operates the platform.
    pub(crate) fn operators(&self) -> Vec<UserId> {
        self.otto.user_id.into_iter().collect()
    }
}
