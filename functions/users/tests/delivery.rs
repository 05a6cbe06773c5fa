//! Events delivered and timers run, as the platform does it.

use std::collections::BTreeSet;

use coder_database::{Filter, Query};
use coder_handler::functions::Outcome;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Person, World};

impl World {
    /// Delivers every event that was ever recorded to every consumer, and the events that follow from that. Events
    /// of earlier calls come again, as they may.
    pub(crate) async fn deliver(&self) {
        let consumers = coder_users::route_group().consumers;
        let mut seen = BTreeSet::new();
        loop {
            let query = Query::new(Filter::of_type("outbox")).limit(1000);
            let page = self.assembly.providers.store.query_across("users", &query).await.unwrap();
            let events = page.items.into_iter().map(|document| document.body["event"].clone());
            let new: Vec<Value> = events.filter(|event| seen.insert(event["id"].to_string())).collect();
            if new.is_empty() {
                break;
            }
            for event in new {
                let kind = event["type"].as_str().unwrap();
                let takes = |pattern: &str| {
                    pattern.strip_suffix('*').map_or(pattern == kind, |head| kind.starts_with(head))
                };
                for (name, _) in consumers.iter().filter(|(_, pattern)| takes(pattern)) {
                    self.consume(name, &event).await;
                }
            }
        }
        self.assembly.directory.forget_permissions(None);
    }

    /// Hands one event to one consumer.
    pub(crate) async fn consume(&self, consumer: &str, event: &Value) {
        let outcome = self.assembly.groups[0].functions.consume(consumer, event, "test").await;
        assert_eq!(outcome, Outcome::Done(Value::Null), "{consumer}: {event}");
    }

    /// Hands an event of another group about a person to one consumer.
    pub(crate) async fn tell(&self, consumer: &str, kind: &str, data: Value) {
        let outcome = self.try_telling(consumer, kind, data).await;
        assert_eq!(outcome, Outcome::Done(Value::Null), "{consumer}: {kind}");
    }

    /// The same, whatever comes of it.
    pub(crate) async fn try_telling(&self, consumer: &str, kind: &str, data: Value) -> Outcome {
        let id = self.ambient.new_uuid().to_string();
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/functions/auth", "type": kind, "subject": data["userId"],
            "time": self.ambient.now().to_string(), "organizationid": "platform", "data": data,
        });
        self.assembly.groups[0].functions.consume(consumer, &event, "test").await
    }

    /// Hands the last event of this name in somebody's organization to one consumer.
    pub(crate) async fn try_event(&self, consumer: &str, who: &Person, name: &str) -> Outcome {
        let query = Query::new(Filter::eq("event.type", format!("coder.users.{name}"))).limit(1000);
        let key = coder_database::Partition::organization(who.organization).key();
        let page = self.assembly.providers.store.query("users", &key, &query).await.unwrap();
        let event = &page.items.last().unwrap().body["event"];
        self.assembly.groups[0].functions.consume(consumer, event, "test").await
    }

    /// Runs a timer, and delivers what follows.
    pub(crate) async fn every(&self, timer: &str) {
        self.run(timer).await;
        self.deliver().await;
    }

    /// Runs a timer.
    pub(crate) async fn run(&self, timer: &str) {
        let outcome = self.assembly.groups[0].functions.run_timer(timer, "test").await;
        assert_eq!(outcome, Outcome::Done(Value::Null), "{timer}");
    }

    /// Makes something and answers its id; what callers may do is looked up afresh from then on.
    pub(crate) async fn make(&self, who: &Person, path: &str, body: Value) -> String {
        let made = self.post(who, path, body).await.expect(201);
        self.assembly.directory.forget_permissions(None);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Puts a member into a team.
    pub(crate) async fn place(
        &self,
        by: &Person,
        team: &str,
        who: &Person,
        role: &str,
    ) -> crate::harness::Reply {
        let path = format!("/teams/{team}/members/{}", who.id);
        let reply = self.call(by, Method::PUT, &path, Some(json!({"role": role}))).await;
        self.assembly.directory.forget_permissions(None);
        reply
    }
}
