//! The bodies that a Functions host sends, against every function of every group of the platform.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use coder_config::Settings;
use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_database::{PlatformJob, Query, Repository};
use coder_handler::server::surface;
use coder_queue::DeadLetter;
use coder_queue::dead_letter::Reason;
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::shop::{Answer, Remembers, answer, envelope};

const ENVELOPES: &str = include_str!("fixtures/envelopes.json");

/// A body, and whether there is an event in it.
#[derive(Deserialize)]
struct Fixture {
    name: String,
    event: String,
    body: Value,
}

struct Platform {
    assembly: Assembly,
    /// Each group's container and patterns.
    consumers: Vec<(&'static str, &'static str, Vec<&'static str>)>,
    publisher: Arc<Remembers>,
    _directory: tempfile::TempDir,
}

impl Platform {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_second(1_750_000_000).unwrap());
        let ambient = Ambient::new(clock, OsEntropy);
        let mut providers = Providers::open(Settings::for_tests(directory.path()), ambient).unwrap();
        let publisher = Arc::new(Remembers::default());
        providers.publisher = publisher.clone();
        let groups = coder_platform::route_groups();
        let consumers = groups.iter().filter_map(|group| {
            Some((group.name, group.containers.first()?.name, group.subscription()?.patterns))
        });
        let consumers = consumers.collect();
        let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap();
        Self { assembly, consumers, publisher, _directory: directory }
    }

    async fn post(&self, group: &'static str, function: &str, body: String) -> Answer {
        let running = self.assembly.groups.iter().find(|one| one.name == group).unwrap();
        let chain = self.assembly.chain(group, 1000, Duration::from_secs(10));
        let request = Request::builder()
            .method("POST")
            .uri(format!("/{function}"))
            .header("content-type", "application/json; charset=utf-8")
            .header("x-azure-functions-invocationid", "3d6b1f0a-1111-4222-8333-444455556666")
            .body(Body::from(body))
            .unwrap();
        let health = self.assembly.providers.health.clone();
        answer(surface(running, chain, health), request).await
    }

    async fn dead_letters(&self, container: &'static str) -> Vec<DeadLetter> {
        let records = Repository::<DeadLetter>::new(self.assembly.providers.store.clone(), container);
        let query = Query::new(None).limit(1000);
        let (page, _) = records.page_across(&PlatformJob::begin(), &query).await.unwrap();
        page.into_iter().map(|(_, record)| record.data).collect()
    }
}

/// What a host can go on with: a failure, or a success with an object.
#[track_caller]
fn acceptable(answer: &Answer, about: &str) {
    assert!(answer.body.is_object(), "{about}: {} {:?}", answer.status, answer.body);
    assert_eq!(answer.headers["content-type"], "application/json", "{about}");
    assert!(!answer.body.to_string().contains("panicked"), "{about}: {:?}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_answers_every_body_so_that_the_host_can_go_on() {
    let platform = Platform::start().await;
    let fixtures: Vec<Fixture> = serde_json::from_str(ENVELOPES).unwrap();
    let mut kinds = BTreeSet::new();
    for group in &platform.assembly.groups {
        for function in group.functions.names() {
            for fixture in &fixtures {
                let answer = platform.post(group.name, function, fixture.body.to_string()).await;
                let about = format!("{}/{function}, {}", group.name, fixture.name);
                acceptable(&answer, &about);
                if !function.starts_with("every-") {
                    assert_eq!(answer.status, 200, "{about}: {:?}", answer.body);
                }
            }
            for body in ["", "good morning", "{\"Data\":", "\u{feff}{}"] {
                let answer = platform.post(group.name, function, body.to_owned()).await;
                acceptable(&answer, &format!("{}/{function}, `{body}`", group.name));
                assert_eq!(answer.status, 400, "{}/{function}, `{body}`", group.name);
            }
            kinds.insert(function.split('-').next().unwrap().to_owned());
        }
        let answer = platform.post(group.name, "on-nothing", "{}".into()).await;
        assert_eq!(answer.status, 404);
        acceptable(&answer, "a function that is not there");
    }
    assert!(kinds.is_superset(&["on".to_owned(), "every".to_owned()].into()), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_dead_letter_that_says_why() {
    let platform = Platform::start().await;
    let fixtures: Vec<Fixture> = serde_json::from_str(ENVELOPES).unwrap();
    for (group, container, _) in &platform.consumers {
        for (number, fixture) in fixtures.iter().enumerate() {
            let mut body = fixture.body.clone();
            let id = format!("message-{number}");
            if body["Metadata"]["MessageId"].is_string() {
                body["Metadata"]["MessageId"] = json!(json!(id).to_string());
            }
            let before = platform.dead_letters(container).await.len();
            platform.post(group, "on-event", body.to_string()).await.is(200, "");
            let letters = platform.dead_letters(container).await;
            if fixture.event == "read" {
                assert_eq!(letters.len(), before, "{group}, {}", fixture.name);
                continue;
            }
            assert_eq!(letters.len(), before + 1, "{group}, {}", fixture.name);
            let malformed = |letter: &&DeadLetter| letter.reason == Reason::Malformed && letter.raw.is_some();
            let letter = letters.iter().find(malformed).unwrap();
            assert!(letter.description.starts_with("The message is no event that can be read. "));
            assert!(letter.description.ends_with('.') && letter.description.len() > 60, "{letter:?}");
        }
        // Given up by the broker: kept, whatever it is.
        let event = fixtures.iter().find(|one| one.name == "service bus, given up").unwrap();
        platform.post(group, "on-dead-letter", event.body.to_string()).await.is(200, "");
        let letters = platform.dead_letters(container).await;
        assert!(
            letters
                .iter()
                .any(|letter| letter.reason == Reason::DeliveryCountExceeded && letter.attempts == 10)
        );
    }
}

/// Events of the right types whose payload is empty, wrong or strange: refused or tried again, but always settled.
#[tokio::test(flavor = "multi_thread")]
async fn every_consumer_survives_payloads_that_nobody_sends() {
    let platform = Platform::start().await;
    let payloads = [
        Value::Null,
        json!({}),
        json!([1, 2]),
        json!("text"),
        json!({"userId": 7, "organizationId": "none", "actor": null, "changes": "?"}),
        json!({"actor": {"kind": "robot"}, "data": {"data": {}}}),
    ];
    let mut tried = 0;
    for (group, _, patterns) in &platform.consumers {
        for pattern in patterns {
            for (number, payload) in payloads.iter().enumerate() {
                let event = json!({
                    "specversion": "1.0", "id": format!("{pattern}-{number}").replace('*', "any"),
                    "source": "/functions/test", "type": pattern.replace('*', "thing"), "subject": "s",
                    "time": "2026-03-02T08:15:00Z", "organizationid": "platform", "data": payload,
                });
                let body = envelope(event.to_string().as_bytes(), &format!("m-{number}"), 1, &[].into());
                let answer = platform.post(group, "on-event", body.to_string()).await;
                assert_eq!(answer.status, 200, "{group}, {pattern}, {payload}: {:?}", answer.body);
                acceptable(&answer, pattern);
                tried += 1;
            }
        }
    }
    assert!(tried >= 50, "{tried}");
    for message in platform.publisher.messages.lock().unwrap().iter() {
        let error = message.text("lasterror").unwrap();
        assert!(!error.contains("panicked") && !error.contains("ran longer"), "{message:?}");
    }
}
