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
    let query = Query::new(None).limit(1000);
    providers.store.query_across("logging", &query).await.unwrap().items.len()
}
