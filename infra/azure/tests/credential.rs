//! The real managed identity against a double of the identity endpoint that a function app has. Where that endpoint
//! is can be told only by the environment, so each case is a process of its own.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use coder_azure::credential::{managed_identity, scope};
use serde_json::json;

/// Says to the child what to ask for: scopes, apart by spaces.
const CHILD: &str = "CODER_TEST_IDENTITY_SCOPES";

/// The endpoint: what it was asked, and how long its tokens last.
#[derive(Debug)]
struct Endpoint {
    asked: Mutex<Vec<String>>,
    seconds: u64,
    fails: usize,
}

async fn token(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let number = {
        let mut asked = endpoint.asked.lock().unwrap();
        let secret = request.headers().get("x-identity-header").map_or("", |value| value.to_str().unwrap());
        asked.push(format!("{} {} {secret}", request.method(), request.uri()));
        asked.len()
    };
    if number <= endpoint.fails {
        return (http::StatusCode::SERVICE_UNAVAILABLE, "not yet").into_response();
    }
    #[expect(clippy::disallowed_methods, reason = "the SDK compares with the machine's clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (token, until) = (format!("token-{number}"), (now + endpoint.seconds).to_string());
    axum::Json(json!({"access_token": token, "expires_on": until, "resource": "r", "token_type": "Bearer"}))
        .into_response()
}

/// The child: asks for tokens and prints them. Does nothing in a normal test run.
#[tokio::test]
async fn identity_child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test has no other way to reach this function")]
    let Ok(scopes) = std::env::var(CHILD) else { return };
    let credential = managed_identity("client-1").unwrap();
    for scope in scopes.split(' ') {
        match credential.get_token(&[scope], None).await {
            Ok(token) => println!("got {}", token.token.secret()),
            Err(error) => println!("failed {error}"),
        }
    }
}

/// Runs the child against an endpoint; what it printed, and what the endpoint was asked.
async fn ask(scopes: &str, seconds: u64, fails: usize) -> (Vec<String>, Vec<String>) {
    let endpoint = Arc::new(Endpoint { asked: Mutex::default(), seconds, fails });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/msi/token", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(token).with_state(endpoint.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let said = child(scopes, &address).await;
    let asked = endpoint.asked.lock().unwrap().clone();
    (said, asked)
}

async fn child(scopes: &str, address: &str) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "credential::identity_child", "--nocapture"])
        .env(CHILD, scopes)
        .env("IDENTITY_ENDPOINT", address)
        .env("IDENTITY_HEADER", "secret-1");
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The test harness writes on the same lines.
    let told = |line: &str| line.find("got ").or(line.find("failed ")).map(|at| line[at..].to_owned());
    text.lines().filter_map(told).collect()
}

#[tokio::test]
async fn a_token_is_asked_for_one_service_by_the_client_id_and_kept() {
    let scopes = format!("{0} {0} {1} {0} {1}", scope::SERVICE_BUS, scope::REDIS);
    let (said, asked) = ask(&scopes, 3600, 0).await;
    assert_eq!(said, ["got token-1", "got token-1", "got token-2", "got token-1", "got token-2"]);
    let query = |service: &str| {
        format!(
            "GET /msi/token?api-version=2019-08-01&resource=https%3A%2F%2F{service}&client_id=client-1 secret-1"
        )
    };
    assert_eq!(asked, [query("servicebus.azure.net"), query("redis.azure.com")]);
}

#[tokio::test]
async fn a_token_is_replaced_when_it_has_five_minutes_left() {
    let twice = format!("{0} {0}", scope::SERVICE_BUS);
    assert_eq!(ask(&twice, 290, 0).await.0, ["got token-1", "got token-2"]);
    assert_eq!(ask(&twice, 330, 0).await.0, ["got token-1", "got token-1"]);
}

#[tokio::test]
async fn an_endpoint_that_is_late_is_asked_again_a_few_times() {
    assert_eq!(ask(scope::SERVICE_BUS, 3600, 1).await.0, ["got token-2"]);
    let (said, asked) = ask(scope::SERVICE_BUS, 3600, 100).await;
    assert!(said[0].starts_with("failed ") && said[0].contains("ManagedIdentityCredential"), "{said:?}");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn an_address_that_is_none_is_a_fault_of_the_settings() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "credential::unusable_child", "--nocapture"])
        .env("CODER_TEST_IDENTITY_UNUSABLE", "1")
        .env("IDENTITY_ENDPOINT", "no address")
        .env("IDENTITY_HEADER", "secret-1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("there is no managed identity"), "{text}");
    assert!(text.contains("IDENTITY_ENDPOINT") && !text.contains("secret-1"), "{text}");
}

/// The child of the test above.
#[test]
fn unusable_child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test has no other way to reach this function")]
    let asked = std::env::var("CODER_TEST_IDENTITY_UNUSABLE").is_ok();
    if asked {
        println!("{}", managed_identity("client-1").unwrap_err());
    }
}
