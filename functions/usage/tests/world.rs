//! A company on a platform, and the group alone with its outbox left to be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use coder_config::Settings;
use coder_core::{Ambient, ManualClock, OrganizationId, OsEntropy};
use coder_database::{Entity, Filter, Partition, PlatformJob, Query, Transaction};
use coder_handler::functions::Outcome as Answered;
use coder_handler::{Cause, Invocation};
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use coder_testkit::{Client, Reply, TestPlatform};
use coder_usage::decimal::Decimal;
use coder_usage::model::{CONTAINER, Subject, config};
use coder_usage::service::{Incoming, Outcome, Usage};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A Monday at noon, when test platforms begin.
pub(crate) const START: &str = "2026-01-05T12:01:00Z";

/// A company with an owner and a member on a platform.
pub(crate) struct Company {
    pub(crate) platform: TestPlatform,
    pub(crate) owner: Client,
    pub(crate) member: Client,
}

impl Company {
    pub(crate) async fn start() -> Self {
        let platform = TestPlatform::start().await;
        let owner = platform.register("olga@example.com", Some("Acme")).await;
        let member = platform.join(&owner, "max@example.com", "member").await;
        Self { platform, owner, member }
    }

    /// A key of the owner's that reports use and does nothing else.
    pub(crate) async fn reporter(&self) -> Client {
        let body = json!({"name": "Meter", "permissions": ["usage.event.create"]});
        let key = self.owner.post("/api/auth/api-keys", body).await.expect(201);
        self.platform.nobody().with_api_key(key.text("/key"))
    }

    /// Reports events.
    pub(crate) async fn report(&self, events: Vec<Value>) -> Reply {
        self.owner.post("/api/usage/events", json!({"events": events})).await
    }

    /// Reports events, all of which count.
    pub(crate) async fn use_up(&self, events: Vec<Value>) {
        let count = events.len();
        assert_eq!(self.report(events).await.expect(202).body["accepted"], count);
    }

    /// Makes something and answers its id.
    pub(crate) async fn make(&self, collection: &str, body: Value) -> String {
        self.owner.post(&format!("/api/usage/{collection}"), body).await.expect(201).text("/id")
    }
}

/// An event at the time when platforms begin.
pub(crate) fn event(id: &str, category: &str, metrics: Value) -> Value {
    json!({
        "source": "test", "eventId": id, "categoryCode": category, "metrics": metrics, "occurredAt": START,
    })
}

/// The value with other fields.
pub(crate) fn with(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

/// A quota on tool executions of the company in a month.
pub(crate) fn quota(limit: i64, action: &str) -> Value {
    json!({
        "name": "Tools", "scope": "organization", "categoryPattern": "mcp.*", "metric": "executions",
        "period": "month", "limit": limit, "action": action,
    })
}

/// The group, alone.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) usage: Usage,
    pub(crate) organization: OrganizationId,
    assembly: Assembly,
    _directory: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START.parse().unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let providers = Providers::open(Settings::for_tests(directory.path()), ambient.clone()).unwrap();
        let groups = vec![coder_usage::route_group()];
        let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap();
        let usage = assembly.groups[0].service::<Usage>().unwrap();
        let organization = ambient.new_id();
        Self { clock, usage, organization, assembly, _directory: directory }
    }

    /// What jobs run with.
    pub(crate) fn invocation(&self) -> Invocation {
        let (runtime, job) = (self.usage.runtime.clone(), PlatformJob::begin());
        Invocation { runtime, job, name: "test", id: "test".to_owned(), correlation_id: None }
    }

    /// Counts events.
    pub(crate) async fn count(&self, events: Vec<Incoming>) -> Vec<Outcome> {
        self.usage.ingest(Cause::Job(&self.invocation()), self.organization, events).await.unwrap()
    }

    /// Runs a timer now.
    pub(crate) async fn every(&self, timer: &str) {
        let outcome = self.assembly.groups[0].functions.run_timer(timer, "test").await;
        assert_eq!(outcome, Answered::Done(Value::Null), "{timer}");
    }

    /// Hands an event of another group to one consumer, whether it had it before or not.
    pub(crate) async fn tell(&self, consumer: &str, event: &Value) -> Answered {
        self.assembly.groups[0].functions.consume(consumer, event, "test").await
    }

    /// An event of another group in this organization.
    pub(crate) fn bus(&self, kind: &str, data: Value) -> Value {
        let id = self.usage.runtime.ambient.new_uuid().to_string();
        json!({
            "specversion": "1.0", "id": id, "source": "/functions/x", "type": kind, "subject": "subject",
            "time": self.usage.now(), "organizationid": self.organization, "data": data,
        })
    }

    /// Writes documents into the configuration.
    pub(crate) async fn configure<T: Entity>(&self, body: Value) -> String {
        let run = self.invocation();
        let mut unit: Transaction = run.begin(CONTAINER, config(self.organization));
        let id = unit.new_id();
        unit.create(&id, serde_json::from_value::<T>(body).unwrap()).unwrap();
        run.commit(unit).await.unwrap();
        id
    }

    /// The payloads of the events so far, by name.
    pub(crate) async fn told(&self, name: &str) -> Vec<Value> {
        let kind = format!("coder.usage.{name}");
        let query = Query::new(Filter::eq("event.type", kind)).limit(1000);
        let page = self.usage.runtime.store.query_across(CONTAINER, &query).await.unwrap();
        page.items.into_iter().map(|document| document.body["event"]["data"].clone()).collect()
    }

    /// Every document of a type in all buckets of the organization.
    pub(crate) async fn documents(&self, kind: &str) -> Vec<Value> {
        let key = Partition::organization(self.organization).key();
        let mut query = Query::new(Filter::of_type(kind)).limit(1000);
        let mut found = Vec::new();
        loop {
            let page = self.usage.runtime.store.query(CONTAINER, &key, &query).await.unwrap();
            found.extend(page.items.into_iter().map(|document| document.body));
            match page.next {
                Some(next) => query.continuation = Some(next),
                None => return found,
            }
        }
    }

    /// The sum of a field over the counters of a series.
    pub(crate) async fn sum(&self, series: &str, field: &str) -> i64 {
        let counters = self.documents("counter").await;
        let ours = counters.iter().filter(|counter| counter["series"] == series);
        ours.map(|counter| counter["values"][field].as_i64().unwrap_or(0)).sum()
    }
}

/// Use of tokens now.
pub(crate) fn tokens(id: usize, quantity: i64, subject: Subject) -> Incoming {
    Incoming {
        source: "test".to_owned(),
        event_id: id.to_string(),
        category_code: "ai.completion".to_owned(),
        subject,
        metrics: BTreeMap::from([("inputTokens".to_owned(), Some(Decimal::from_units(quantity)))]),
        dimensions: BTreeMap::new(),
        occurred_at: START.parse().unwrap(),
    }
}
