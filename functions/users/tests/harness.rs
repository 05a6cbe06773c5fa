//! The group started in a temporary directory, and callers whose credential was verified already.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use coder_config::Settings;
use coder_core::id::Uuid;
use coder_core::permission::BuiltInRole;
use coder_core::{
    Actor, ActorKind, Ambient, Caller, Credential, ManualClock, OrganizationId, OsEntropy, Pattern, Scope,
    Timestamp, UserId,
};
use coder_database::transaction::Act;
use coder_database::{Filter, Partition, PartitionKey, Query, Transaction};
use coder_middleware::chain::{Authentication, Chain};
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use coder_users::model::{Organization, OrganizationStatus};
use coder_users::service::Users;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::notifications::Mailbox;

const START: &str = "2026-01-05T12:01:00Z";

/// The group, alone.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) users: Users,
    pub(crate) ambient: Ambient,
    router: Router,
    pub(crate) assembly: Assembly,
    pub(crate) mailbox: Mailbox,
    _directory: TempDir,
}

/// A person with an organization, and the credential they come with.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) organization: OrganizationId,
    key: Option<Vec<Pattern>>,
    stale: bool,
}

impl Person {
    /// The same person, coming for another organization.
    pub(crate) fn at(&self, organization: OrganizationId) -> Self {
        Self { organization, ..self.clone() }
    }

    /// The same person, coming with an API key that has these permissions.
    pub(crate) fn with_key(&self, patterns: &[&str]) -> Self {
        let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Self { key: Some(patterns), ..self.clone() }
    }

    /// The same person, whose sign-in is an hour old.
    pub(crate) fn signed_in_long_ago(&self) -> Self {
        Self { stale: true, ..self.clone() }
    }

    fn caller(&self, world: &World) -> Caller {
        let now = world.ambient.now();
        let credential = match &self.key {
            Some(patterns) => Credential::ApiKey {
                key_id: "k1".to_owned(),
                permissions: patterns.iter().cloned().collect(),
                scope: Scope::Organization(self.organization),
            },
            None => Credential::Session {
                session_id: Uuid::from_u128(7).into(),
                roles: Vec::new(),
                amr: vec!["pwd".to_owned()],
                auth_time: if self.stale { Timestamp::UNIX_EPOCH } else { now },
                expires_at: world.ambient.after(900),
                enrolment_only: false,
            },
        };
        Caller {
            user_id: Some(self.id),
            organization_id: Some(self.organization),
            operator: false,
            credential,
        }
    }
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

impl Reply {
    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// The detail of a problem with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        self.body["detail"].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    /// Whether a refusal names a permission that owners alone hold, of whichever group.
    pub(crate) fn names_an_owners_permission(&self, refusal: &str) -> bool {
        let owners = self.users.runtime.catalogue.iter().filter(|one| one.held_by == BuiltInRole::Owner);
        owners.map(|one| format!("`{}`", one.name)).any(|name| refusal.contains(&name))
    }

    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START.parse().unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let providers = Providers::open(Settings::for_tests(directory.path()), ambient.clone()).unwrap();
        let groups = vec![coder_users::route_group()];
        let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap();
        let group = &assembly.groups[0];
        let mailbox = Mailbox::default();
        mailbox.open(&assembly.peers);
        let (users, router) = (group.service::<Users>().unwrap(), coder_handler::server::api(group));
        Self { clock, users, ambient, router, assembly, mailbox, _directory: directory }
    }

    /// Registers a person with a personal organization.
    pub(crate) async fn person(&self, name: &str) -> Person {
        self.register(name, json!({})).await
    }

    /// Registers a person who owns a new company.
    pub(crate) async fn founder(&self, name: &str) -> Person {
        self.register(name, json!({"organizationName": format!("{name} Inc")})).await
    }

    async fn register(&self, name: &str, more: Value) -> Person {
        let id: UserId = self.ambient.new_id();
        let email = format!("{}@example.com", name.to_lowercase().replace(' ', "."));
        let mut body = json!({"userId": id, "email": email, "displayName": name, "emailVerified": true});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = self.service(Method::POST, "/internal/provision", Some(body)).await.expect(200);
        let organization = answer["organizationId"].as_str().unwrap().parse().unwrap();
        Person { id, organization, key: None, stale: false }
    }

    /// Registers a person and makes them a member of somebody's organization.
    pub(crate) async fn member(&self, name: &str, of: &Person, roles: &[&str]) -> Person {
        let person = self.person(name).await;
        let organization = self.users.organization(of.organization).await.unwrap();
        let profile = self.users.person(person.id).await.unwrap();
        let roles = roles.iter().map(ToString::to_string).collect();
        let membership =
            coder_users::model::Membership::new(person.id, roles, self.ambient.now()).of(&profile.data);
        let mut unit = self.begin(Partition::organization(of.organization));
        self.users.add_member(&mut unit, &organization, membership.clone(), "test").await.unwrap();
        drop(unit.commit().await.unwrap());
        let mut unit = self.begin(Partition::user(person.id));
        let id = coder_users::model::MembershipRef::document_id(of.organization);
        unit.mirror(id, membership.mirror(of.organization)).unwrap();
        drop(unit.commit().await.unwrap());
        self.assembly.directory.forget_permissions(None);
        person.at(of.organization)
    }

    /// A transaction that no request makes.
    pub(crate) fn begin(&self, partition: Partition) -> Transaction {
        let act = Act {
            actor: Actor::new(ActorKind::Service, "test"),
            action: "test".to_owned(),
            request_id: "test".to_owned(),
            group: "users",
            traceparent: None,
        };
        let store = self.assembly.providers.store.clone();
        Transaction::new(store, self.ambient.clone(), "users", partition, act)
    }

    /// Suspends somebody's organization, as the operator does.
    pub(crate) async fn suspend(&self, of: &Person) {
        let before = self.users.organization(of.organization).await.unwrap();
        let after = Organization { status: OrganizationStatus::Suspended, ..before.data.clone() };
        let mut unit = self.begin(Partition::organization(of.organization));
        unit.replace(&before, after).unwrap();
        drop(unit.commit().await.unwrap());
        self.assembly.directory.forget_permissions(None);
    }

    /// Calls as a person.
    pub(crate) async fn call(&self, who: &Person, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.call_if(who, method, path, body, None).await
    }

    /// Calls as a person who believes an entity tag to be current.
    pub(crate) async fn call_if(
        &self,
        who: &Person,
        method: Method,
        path: &str,
        body: Option<Value>,
        etag: Option<&str>,
    ) -> Reply {
        let mut request = request(method, path, body);
        if let Some(etag) = etag {
            request.headers_mut().insert("if-match", format!("\"{etag}\"").parse().unwrap());
        }
        request.extensions_mut().insert(Authentication::Verified(Arc::new(who.caller(self))));
        self.send(request).await
    }

    pub(crate) async fn get(&self, who: &Person, path: &str) -> Reply {
        self.call(who, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, who: &Person, path: &str, body: Value) -> Reply {
        self.call(who, Method::POST, path, Some(body)).await
    }

    /// Posts with an idempotency key.
    pub(crate) async fn post_once(&self, who: &Person, path: &str, body: Value, key: &str) -> Reply {
        let mut request = request(Method::POST, path, Some(body));
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        request.extensions_mut().insert(Authentication::Verified(Arc::new(who.caller(self))));
        self.send(request).await
    }

    pub(crate) async fn patch(&self, who: &Person, path: &str, body: Value) -> Reply {
        self.call(who, Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, who: &Person, path: &str) -> Reply {
        self.call(who, Method::DELETE, path, None).await
    }

    /// Calls as another group of the platform.
    pub(crate) async fn service(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = request(method, path, body);
        Chain::admit_service(&mut request, "auth", None);
        self.send(request).await
    }

    /// Calls without a credential.
    pub(crate) async fn nobody(&self, method: Method, path: &str) -> Reply {
        self.send(request(method, path, None)).await
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let etag =
            response.headers().get("etag").map(|tag| tag.to_str().unwrap().trim_matches('"').to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status, etag, body }
    }

    /// The data of every event of this name that waits in a partition, in order.
    pub(crate) async fn events(&self, partition: String, name: &str) -> Vec<Value> {
        let query = Query::new(Filter::of_type("outbox")).limit(1000);
        let key = PartitionKey::single(partition);
        let page = self.assembly.providers.store.query("users", &key, &query).await.unwrap();
        let wanted = format!("coder.users.{name}");
        let mut events: Vec<Value> =
            page.items.into_iter().map(|document| document.body["event"].clone()).collect();
        events.retain(|event| event["type"] == wanted);
        events.sort_by_key(|event| event["id"].as_str().unwrap_or_default().to_owned());
        events.into_iter().map(|event| event["data"].clone()).collect()
    }

    pub(crate) async fn organization_events(&self, who: &Person, name: &str) -> Vec<Value> {
        self.events(format!("org:{}", who.organization), name).await
    }
}

fn request(method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("/api/users{path}"));
    match body {
        Some(body) => {
            request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
        }
        None => request.body(Body::empty()).unwrap(),
    }
}
