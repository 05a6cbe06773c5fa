//! A group whose consumers do what the event says, with a publisher that only remembers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::Request;
use base64::Engine as _;
use coder_config::Settings;
use coder_core::{
    Ambient, Caller, Credential, Failure, ManualClock, OrganizationId, OsEntropy, Timestamp, UserId,
};
use coder_database::{AuditEntry, Container, Filter, OutboxRecord, Query, Record, Repository};
use coder_handler::events::{ConsumerFault, Event, Invocation, JobRun};
use coder_handler::functions::Outcome;
use coder_handler::{ConsumerOptions, Group, RouteGroup};
use coder_jobs::JobFault;
use coder_middleware::chain::Authentication;
use coder_queue::dead_letter::partition;
use coder_queue::{DeadLetter, Entity, Message, PublishError, Publisher};
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// What consumers have taken: consumer and event id.
pub(crate) type Log = Arc<Mutex<Vec<(&'static str, String)>>>;

/// Remembers messages, or refuses them.
#[derive(Debug, Default)]
pub(crate) struct Remembers {
    pub(crate) messages: Mutex<Vec<Message>>,
    pub(crate) refusal: Mutex<Option<PublishError>>,
}

#[async_trait]
impl Publisher for Remembers {
    async fn publish(&self, messages: &[Message]) -> Result<(), PublishError> {
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Err(refusal);
        }
        self.messages.lock().unwrap().extend_from_slice(messages);
        Ok(())
    }
}

/// What the shop's code works with.
#[derive(Debug, Clone)]
struct Service {
    log: Log,
    /// Opened for those who come late.
    gate: Arc<Semaphore>,
}

async fn act(service: Service, invocation: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let before = {
        let mut log = service.log.lock().unwrap();
        let before = log.iter().filter(|one| **one == (invocation.name, event.id.clone())).count();
        log.push((invocation.name, event.id.clone()));
        before
    };
    match event.data[invocation.name].as_str() {
        Some("retry") => Err(Failure::internal("the shelf is full; token eyJhbGciOiJub25lIn0.e30.x").into()),
        Some("reject") => Err(ConsumerFault::Reject("there is no such shelf".into())),
        Some("panic") => panic!("on purpose"),
        Some("hang") => std::future::pending().await,
        // The first one, until the gate is opened; then it fails.
        Some("late") if before == 0 => {
            service.gate.acquire().await.unwrap().forget();
            Err(Failure::internal("it was too late").into())
        }
        _ => Ok(()),
    }
}

/// Panics before there is a future.
fn eager(_: Service, _: Invocation, _: Event) -> std::future::Ready<Result<(), ConsumerFault>> {
    panic!("at once")
}

async fn tidy(service: Service, run: JobRun, _: Value) -> Result<Value, JobFault> {
    service.log.lock().unwrap().push(("tidy", run.id));
    Ok(Value::Null)
}

fn shop(container: Container, service: Service) -> Group {
    let usual = ConsumerOptions::default();
    let ordered = ConsumerOptions { ordered: true, max_attempts: 3, ..usual };
    let hasty = ConsumerOptions { deadline: Duration::from_millis(20), ..usual };
    RouteGroup::new("shop", "Orders and what follows")
        .container(container)
        .on_event("index", "coder.shop.order.*", act)
        .on_event_with(ConsumerOptions { max_attempts: 3, ..usual }, "notify", "coder.shop.order.placed", act)
        .on_event_with(ordered, "ledger", "coder.shop.account.*", act)
        .on_event_with(hasty, "hasty", "coder.shop.order.hurried", act)
        .on_event("eager", "coder.shop.order.eager", eager)
        .job("tidy", tidy)
        .service(|_, _| service)
}

/// The group on a store of its own.
pub(crate) struct Shop {
    pub(crate) assembly: Assembly,
    pub(crate) clock: ManualClock,
    pub(crate) publisher: Arc<Remembers>,
    pub(crate) log: Log,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) container: Container,
    _directory: tempfile::TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, status: u16, code: &str) -> Value {
        let given = self.body["code"].as_str().unwrap_or_default();
        assert_eq!((self.status, given), (status, code), "{:#}", self.body);
        self.body
    }
}

/// An event of the shop; `does` says what consumers make of it.
pub(crate) fn event(id: &str, name: &str, does: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/functions/shop", "type": format!("coder.shop.{name}"),
        "subject": "o-1", "time": "2026-01-05T12:00:00Z", "organizationid": "platform", "data": does,
    })
}

/// The envelope of a message with these properties.
pub(crate) fn envelope(message: &[u8], id: &str, count: u32, properties: &BTreeMap<String, Value>) -> Value {
    json!({
        "Data": {"message": base64::engine::general_purpose::STANDARD.encode(message)},
        "Metadata": {
            "DeliveryCount": count.to_string(), "MessageId": json!(id).to_string(),
            "ApplicationProperties": properties,
        },
    })
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::in_container(Container::new("shop")).await
    }

    pub(crate) async fn in_container(container: Container) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_second(1_750_000_000).unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let mut providers = Providers::open(Settings::for_tests(directory.path()), ambient).unwrap();
        let publisher = Arc::new(Remembers::default());
        providers.publisher = publisher.clone();
        let log = Log::default();
        let gate = Arc::new(Semaphore::new(0));
        let service = Service { log: log.clone(), gate: gate.clone() };
        let groups = vec![shop(container.clone(), service)];
        let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap();
        Self { assembly, clock, publisher, log, gate, container, _directory: directory }
    }

    /// Calls a function of the group.
    pub(crate) async fn call(&self, function: &str, envelope: Value) -> Outcome {
        self.assembly.groups[0].functions.invoke(function, envelope, "call-1").await
    }

    /// Delivers an event for everybody.
    pub(crate) async fn deliver(&self, event: &Value) -> Outcome {
        self.deliver_with(event, 1, &[]).await
    }

    pub(crate) async fn deliver_with(
        &self,
        event: &Value,
        count: u32,
        properties: &[(&str, Value)],
    ) -> Outcome {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.call("on-event", envelope(event.to_string().as_bytes(), "m-1", count, &properties)).await
    }

    /// Delivers a message that was published.
    pub(crate) async fn deliver_message(&self, message: &Message) -> Outcome {
        let function = if message.entity == Entity::Jobs { "run-job" } else { "on-event" };
        self.call(function, envelope(&message.body, &message.id, 1, &message.properties)).await
    }

    /// The messages published since the last time.
    pub(crate) fn published(&self) -> Vec<Message> {
        std::mem::take(&mut self.publisher.messages.lock().unwrap())
    }

    /// What consumers have done since the last time, in order.
    pub(crate) fn taken(&self) -> Vec<&'static str> {
        let mut taken: Vec<_> =
            std::mem::take(&mut *self.log.lock().unwrap()).into_iter().map(|(name, _)| name).collect();
        taken.sort_unstable();
        taken
    }

    async fn records<T: coder_database::Entity>(&self) -> Vec<Record<T>> {
        let records = Repository::<T>::new(self.assembly.providers.store.clone(), self.container.name);
        let query = Query::new(None::<Filter>).limit(1000);
        records.page(&partition(&self.container, "shop"), &query).await.unwrap().0
    }

    pub(crate) async fn dead_letters(&self) -> Vec<Record<DeadLetter>> {
        self.records().await
    }

    /// The only dead letter.
    pub(crate) async fn dead_letter(&self) -> Record<DeadLetter> {
        let mut letters = self.dead_letters().await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters.remove(0)
    }

    pub(crate) async fn outbox(&self) -> Vec<OutboxRecord> {
        self.records().await.into_iter().map(|record| record.data).collect()
    }

    pub(crate) async fn audit(&self) -> Vec<AuditEntry> {
        self.records().await.into_iter().map(|record| record.data).collect()
    }

    /// Delivers what waits in the outbox, as the broker would, and empties it.
    pub(crate) async fn sweep(&self) -> Vec<Outcome> {
        let records = self.records::<OutboxRecord>().await;
        let mut outcomes = Vec::new();
        for record in records {
            outcomes.push(self.deliver_message(&Message::of_outbox(&record)).await);
            let store = &self.assembly.providers.store;
            let place = partition(&self.container, "shop");
            coder_database::outbox::settle(store, self.container.name, &place, &record, None).await.unwrap();
        }
        outcomes
    }

    /// An operator's request.
    pub(crate) async fn operate(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.request(Some(&person(true)), method, path, body, &[]).await
    }

    pub(crate) async fn request(
        &self,
        caller: Option<&Caller>,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let content = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let path = format!("/api/shop/operations/dead-letters{path}");
        let mut request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(content).unwrap();
        if let Some(caller) = caller {
            request.extensions_mut().insert(Authentication::Verified(Arc::new(caller.clone())));
        }
        answer(coder_handler::server::api(&self.assembly.groups[0]), request).await
    }
}

pub(crate) async fn answer(router: axum::Router, request: Request) -> Answer {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_default();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// A person with a session.
pub(crate) fn person(operator: bool) -> Caller {
    let id = |first: u8| format!("{first}0000000-0000-7000-8000-000000000001");
    Caller {
        user_id: Some(id(1).parse::<UserId>().unwrap()),
        organization_id: Some(id(9).parse::<OrganizationId>().unwrap()),
        operator,
        credential: Credential::Session {
            session_id: id(8).parse().unwrap(),
            roles: vec!["owner".into()],
            amr: Vec::new(),
            auth_time: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::MAX,
            enrolment_only: false,
        },
    }
}
