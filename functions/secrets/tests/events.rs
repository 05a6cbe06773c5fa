//! What everybody else is told, read off the outbox of a group that publishes nothing: names, payloads, no values.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use coder_config::Settings;
use coder_core::id::Uuid;
use coder_core::{Ambient, Caller, Credential, ManualClock, OrganizationId, OsEntropy, UserId};
use coder_database::{Filter, PlatformJob, Query};
use coder_handler::Invocation;
use coder_middleware::chain::{Authentication, Chain};
use coder_secrets::jobs;
use coder_secrets::service::Secrets;
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// The groups `users` and `secrets`, and somebody who owns an organization.
struct Quiet {
    clock: ManualClock,
    ambient: Ambient,
    assembly: Assembly,
    user_id: UserId,
    organization_id: OrganizationId,
    directory: TempDir,
}

impl Quiet {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-01-05T12:01:00Z".parse().unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let providers = Providers::open(Settings::for_tests(directory.path()), ambient.clone()).unwrap();
        let groups = vec![coder_users::route_group(), coder_secrets::route_group()];
        let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap();
        let user_id: UserId = ambient.new_id();
        let organization_id = OrganizationId::from(Uuid::nil());
        let mut quiet = Self { clock, ambient, assembly, user_id, organization_id, directory };
        let body = json!({"userId": user_id, "email": "ada@example.com", "displayName": "Ada", "emailVerified": true});
        let mut request = request(Method::POST, "/api/users/internal/provision", &body);
        Chain::admit_service(&mut request, "auth", None);
        let answer = send(quiet.router("users"), request).await;
        quiet.organization_id = answer.1["organizationId"].as_str().unwrap().parse().unwrap();
        quiet
    }

    fn router(&self, group: &str) -> Router {
        let running = self.assembly.groups.iter().find(|running| running.name == group).unwrap();
        coder_handler::server::api(running)
    }

    /// Calls as the owner.
    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let credential = Credential::Session {
            session_id: Uuid::from_u128(7).into(),
            roles: Vec::new(),
            amr: vec!["pwd".to_owned()],
            auth_time: self.ambient.now(),
            expires_at: self.ambient.after(900),
            enrolment_only: false,
        };
        let caller = Caller {
            user_id: Some(self.user_id),
            organization_id: Some(self.organization_id),
            operator: false,
            credential,
        };
        let mut request = request(method, &format!("/api/secrets{path}"), &body);
        request.extensions_mut().insert(Authentication::Verified(Arc::new(caller)));
        send(self.router("secrets"), request).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.call(Method::POST, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        body
    }

    /// Name and payload of every event, in order.
    async fn events(&self) -> Vec<(String, Value)> {
        let store = &self.assembly.providers.store;
        let query = Query::new(Filter::of_type("outbox")).limit(1000);
        let page = store.query_across("secrets", &query).await.unwrap();
        let mut events: Vec<Value> = page.items.into_iter().map(|one| one.body["event"].clone()).collect();
        events.sort_by_key(|event| event["id"].as_str().unwrap().to_owned());
        let name = |event: &Value| {
            event["type"].as_str().unwrap().strip_prefix("coder.secrets.").unwrap().to_owned()
        };
        events.iter().map(|event| (name(event), event["data"].clone())).collect()
    }

    fn invocation(&self, name: &'static str) -> (Secrets, Invocation) {
        let running = self.assembly.groups.iter().find(|running| running.name == "secrets").unwrap();
        let secrets: Secrets = running.service().unwrap();
        let runtime = secrets.runtime.clone();
        (
            secrets,
            Invocation {
                runtime,
                job: PlatformJob::begin(),
                name,
                id: "test".to_owned(),
                correlation_id: None,
            },
        )
    }
}

fn request(method: Method, path: &str, body: &Value) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

async fn send(router: Router, request: Request<Body>) -> (u16, Value) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn every_step_is_told_and_none_tells_a_value() {
    let quiet = Quiet::start().await;
    let body = json!({"name": "STRIPE", "kind": "api_key", "value": {"key": "zz-first-value"}});
    let made = quiet.post("", body).await;
    let id = made["id"].as_str().unwrap();
    let at = |tail: &str| format!("/{id}{tail}");
    quiet.post(&at("/versions"), json!({"value": {"key": "zz-second-value"}})).await;
    quiet.post(&at("/versions/1/activate"), json!({})).await;
    quiet.post(&at("/rotate"), json!({"value": {"key": "zz-third-value"}})).await;
    quiet.post(&at("/reveal"), json!({"reason": "zz-look"})).await;
    quiet.post("/resolve", json!({"references": [format!("secret:{id}")]})).await;
    assert_eq!(quiet.call(Method::PATCH, &at(""), json!({"description": "Payments"})).await.0, 200);
    let grant = json!({"principal": {"kind": "user", "id": quiet.user_id}, "actions": ["reveal"]});
    let grant = quiet.post(&at("/grants"), grant).await;
    let grant = at(&format!("/grants/{}", grant["id"].as_str().unwrap()));
    assert_eq!(quiet.call(Method::DELETE, &grant, json!({})).await.0, 204);
    quiet.post("/keys/rotate", json!({})).await;
    assert_eq!(quiet.call(Method::DELETE, &at(""), json!({})).await.0, 204);
    quiet.post(&at("/restore"), json!({})).await;
    quiet.post(&at("/purge"), json!({"confirmName": "STRIPE"})).await;
    let events = quiet.events().await;
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "key.rotated",
            "secret.created",
            "version.created",
            "version.created",
            "version.created",
            "version.created",
            "secret.rotated",
            "secret.revealed",
            "secret.revealed",
            "secret.updated",
            "grant.created",
            "grant.deleted",
            "key.rotated",
            "job.reencrypt",
            "secret.deleted",
            "secret.restored",
            "secret.purged",
        ]
    );
    let text = json!(events).to_string();
    assert!(!text.contains("zz-") && !text.contains("ciphertext"), "{text}");
    assert!(quiet.directory.path().is_dir());
    let causes: Vec<_> =
        events.iter().filter(|one| one.0 == "version.created").map(|one| &one.1["cause"]).collect();
    assert_eq!(causes, ["manual", "manual", "rollback", "rotation"]);
    let (_, created) = &events[1];
    assert_eq!(
        (&created["name"], &created["scope"], &created["environment"]),
        (&json!("STRIPE"), &json!("organization"), &json!("default"))
    );
    assert_eq!(created["actor"]["id"], json!(quiet.user_id));
    assert_eq!(events[9].1["changes"][0]["path"], "/description");
    assert_eq!((&events[7].1["version"], &events[7].1["secretId"]), (&json!(4), &json!(id)));
}

#[tokio::test]
async fn expiry_is_warned_of_once_at_each_step() {
    let quiet = Quiet::start().await;
    let end = quiet.ambient.after(32 * 24 * 3600);
    let body = json!({"name": "A", "kind": "api_key", "value": {"key": "v"}, "expiresAt": end});
    quiet.post("", body).await;
    let run = async || {
        let (secrets, invocation) = quiet.invocation("expiry");
        jobs::expire(secrets, invocation).await.unwrap();
    };
    for _ in 0..(33 * 4) {
        run().await;
        quiet.clock.advance(SignedDuration::from_hours(6));
    }
    let events = quiet.events().await;
    let warned: Vec<_> =
        events.iter().filter(|one| one.0 == "expiry.warned").map(|one| one.1["daysLeft"].clone()).collect();
    assert_eq!(warned, [30, 14, 7, 1]);
    let owner = json!(quiet.user_id);
    assert!(events.iter().filter(|one| one.0 == "expiry.warned").all(|one| one.1["ownerId"] == owner));
    assert_eq!(events.last().unwrap().1["changes"][0]["to"], "expired");
}

#[tokio::test]
async fn a_value_that_does_not_open_raises_an_alert() {
    let quiet = Quiet::start().await;
    let made = quiet.post("", json!({"name": "A", "kind": "api_key", "value": {"key": "v"}})).await;
    let id = made["id"].as_str().unwrap();
    let (secrets, invocation) = quiet.invocation("test");
    let partition = coder_database::Partition::organization(quiet.organization_id);
    let version = secrets.versions.get(&partition, &format!("{id}:1")).await.unwrap();
    let mut unit = invocation.begin("secrets", partition);
    let changed = coder_secrets::model::Version { version: 2, ..version.data.clone() };
    unit.replace(&version, changed).unwrap();
    invocation.commit(unit).await.unwrap();
    let (status, answer) = quiet.call(Method::POST, &format!("/{id}/reveal"), json!({})).await;
    assert_eq!((status, &answer["code"]), (500, &json!("internal")));
    let events = quiet.events().await;
    let (name, data) = events.last().unwrap();
    assert_eq!((name.as_str(), &data["secretId"]), ("access.failed", &json!(id)));
}
