//! What apps do to each other, with a test for a host: they find each other by address, and one's events reach the
//! others.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use coder_database::Query;
use coder_embedded::broker::Source;
use coder_startup::Providers;
use coder_testkit::Client;
use serde_json::{Value, json};

use crate::apps::{App, app, delivery, open};

const PASSWORD: &str = "correct horse battery staple 7";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `auth` and `users`, each knowing the other's address.
struct Pair {
    auth: App,
    users: App,
}

impl Pair {
    fn start(data: &Path, ports: (u16, u16)) -> Self {
        let address = |port: u16| format!("http://127.0.0.1:{port}");
        let (auth, users) = (address(ports.0), address(ports.1));
        let (auth_port, users_port) = (ports.0.to_string(), ports.1.to_string());
        let start = |name: &str, port: &str| {
            let variables = [
                ("CODER_UPSTREAM_AUTH", auth.as_str()),
                ("CODER_UPSTREAM_USERS", users.as_str()),
                ("FUNCTIONS_CUSTOMHANDLER_PORT", port),
            ];
            let mut started = App::start(app(name), data, &variables);
            started.process.url = format!("http://127.0.0.1:{port}");
            started
        };
        Self { auth: start("auth", &auth_port), users: start("users", &users_port) }
    }
}

fn nobody(app: &App) -> Client {
    Client::nobody(app.process.url.clone(), reqwest::Client::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_registers_at_one_app_and_works_at_another_also_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let ports = (free_port(), free_port());
    let person = json!({
        "email": "ada@example.com", "password": PASSWORD, "displayName": "Ada", "organizationName": "Engines",
    });
    let token = {
        let pair = Pair::start(data.path(), ports);
        let reply = nobody(&pair.auth).post("/api/auth/register", person).await.expect(201);
        let ada = nobody(&pair.users).with_token(reply.text("/accessToken"));
        let made = ada.post("/api/users/teams", json!({"name": "Platform"})).await;
        made.expect(201);
        ada.token()
        // Both are killed.
    };
    let pair = Pair::start(data.path(), ports);
    let ada = nobody(&pair.users).with_token(token);
    let teams = ada.get("/api/users/teams").await.expect(200);
    assert_eq!(teams.body["items"][0]["name"], "Platform", "{teams:?}");
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    nobody(&pair.auth).post("/api/auth/login", login).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_one_app_is_kept_by_another_once() {
    let data = tempfile::tempdir().unwrap();
    let logging = App::start(app("logging"), data.path(), &[]);
    let pair = Pair::start(data.path(), (free_port(), free_port()));
    let providers = open(data.path()).await;
    let person = json!({"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada"});
    nobody(&pair.auth).post("/api/auth/register", person).await.expect(201);

    let all = tokio::time::timeout(Duration::from_mins(1), carry(&providers, &logging));
    let carried = all.await.expect("the event of a new person was published");
    assert!(carried.contains("coder.users.user.created"), "{carried:?}");
}

/// Each app knows the others by address alone, also those that the request chain never asks.
#[tokio::test(flavor = "multi_thread")]
async fn the_mail_of_one_app_leaves_by_another() {
    let data = tempfile::tempdir().unwrap();
    let pair = Pair::start(data.path(), (free_port(), free_port()));
    let upstreams = [
        ("CODER_UPSTREAM_AUTH", pair.auth.process.url.as_str()),
        ("CODER_UPSTREAM_USERS", pair.users.process.url.as_str()),
    ];
    let notifications = App::start(app("notifications"), data.path(), &upstreams);
    let sender = App::start(
        app("auth"),
        data.path(),
        &[&upstreams[1..], &[("CODER_UPSTREAM_NOTIFICATIONS", notifications.process.url.as_str())]].concat(),
    );
    let providers = open(data.path()).await;
    let person = json!({"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada"});
    nobody(&pair.auth).post("/api/auth/register", person).await.expect(201);
    let forgot = json!({"email": "ada@example.com"});
    nobody(&pair.auth).post("/api/auth/password/forgot", forgot).await;

    let before = documents_of(&providers, "notifications").await;
    let asked = async {
        let source = Source::subscription("auth");
        loop {
            for message in providers.local.as_ref().unwrap().broker.receive(&source, 10).await.unwrap() {
                let event: Value = serde_json::from_slice(&message.message.body).unwrap();
                let answer = sender.call("on-event", delivery(&event, &message.message.id)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                providers.local.as_ref().unwrap().broker.complete(&message.lock).await.unwrap();
                if event["type"] == "coder.auth.mail.queued" {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), asked).await.expect("a mail was queued");
    let after = documents_of(&providers, "notifications").await;
    assert!(after > before, "notifications was handed nothing");
}

/// Behind a gateway, or called by a group, an app finds the credential beside the one that opened its door.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_passes_on_counts_and_its_own_token_does_not() {
    let data = tempfile::tempdir().unwrap();
    let pair = Pair::start(data.path(), (free_port(), free_port()));
    let person = json!({"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada"});
    let reply = nobody(&pair.auth).post("/api/auth/register", person).await.expect(201);
    let token = format!("Bearer {}", reply.text("/accessToken"));
    for (assertion, expected) in [(token.as_str(), 200), ("none", 401), ("Bearer of-somebody-else", 401)] {
        let request = reqwest::Client::new()
            .get(format!("{}/api/users/me", pair.users.process.url))
            .header("authorization", "Bearer of-the-gateway")
            .header("x-coder-assertion", assertion);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), expected, "{assertion}");
    }
}

/// Takes what the broker has for `logging` to its app, each message twice, until that of a new person was among it.
async fn carry(providers: &Providers, logging: &App) -> BTreeSet<String> {
    let source = Source::subscription("logging");
    let mut carried = BTreeSet::new();
    while !carried.contains("coder.users.user.created") {
        for message in providers.local.as_ref().unwrap().broker.receive(&source, 10).await.unwrap() {
            let event: Value = serde_json::from_slice(&message.message.body).unwrap();
            for first in [true, false] {
                let before = documents(providers).await;
                let answer = logging.call("on-event", delivery(&event, &message.message.id)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                let more = documents(providers).await > before;
                assert_eq!(more, first, "{event} was kept: {more}");
            }
            carried.insert(event["type"].as_str().unwrap().to_owned());
            providers.local.as_ref().unwrap().broker.complete(&message.lock).await.unwrap();
        }
        // What another process has published is found by asking.
        tokio::task::yield_now().await;
    }
    carried
}

/// How many documents the audit has.
async fn documents(providers: &Providers) -> usize {
    documents_of(providers, "logging").await
}

/// How many documents a container has.
async fn documents_of(providers: &Providers, container: &'static str) -> usize {
    let query = Query::new(None).limit(1000);
    providers.store.query_across(container, &query).await.unwrap().items.len()
}
