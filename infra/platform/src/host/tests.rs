//! The host with a real broker and a handler at an address that does what the test says; and the way from the
//! broker into a consumer of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex as StdMutex;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use coder_config::Settings;
use coder_core::{ManualClock, OsEntropy, Timestamp};
use coder_database::Container;
use coder_embedded::Options;
use coder_embedded::broker::{Limits, Subscription};
use coder_handler::{Event, Group, Invocation, RouteGroup};
use coder_queue::{Entity, Message, Publisher as _};
use http::HeaderMap;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::Platform;

/// What a fake handler was asked, and what it answers.
#[derive(Debug)]
struct Handler {
    calls: StdMutex<Vec<(String, HeaderMap, Value)>>,
    /// By message id; the rest succeeds.
    answers: BTreeMap<&'static str, Answer>,
    /// Messages whose id begins with `slow` are answered once this is true.
    open: watch::Sender<bool>,
    running: watch::Sender<usize>,
}

/// Status, media type, body.
type Answer = (u16, &'static str, &'static str);

async fn answer(
    State(handler): State<Arc<Handler>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let envelope: Value = serde_json::from_str(&body).unwrap();
    let id = envelope["Metadata"]["MessageId"].as_str().unwrap().trim_matches('"').to_owned();
    handler.calls.lock().unwrap().push((function, headers, envelope));
    handler.running.send_modify(|count| *count += 1);
    if id.starts_with("slow") {
        handler.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
    let (status, media, body) = handler.answers.get(id.as_str()).copied().unwrap_or(GOOD);
    (http::StatusCode::from_u16(status).unwrap(), [("content-type", media)], body).into_response()
}

const GOOD: Answer = (200, "application/json; charset=utf-8", "{}");

struct Fixture {
    handler: Arc<Handler>,
    broker: Arc<SqliteBroker>,
    host: Arc<Host>,
    clock: ManualClock,
    stop: CancellationToken,
    task: JoinSet<()>,
    _directory: TempDir,
}

impl Fixture {
    async fn new(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        let handler = Arc::new(Handler {
            calls: StdMutex::default(),
            answers: answers.into_iter().collect(),
            open: watch::channel(false).0,
            running: watch::channel(0).0,
        });
        let router = Router::new().route("/{function}", post(answer)).with_state(handler.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(coder_handler::serve(listener, router, std::future::pending()));
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let broker =
            Arc::new(SqliteBroker::open(directory.path(), &Options::default(), ambient.clone()).unwrap());
        let limits = Limits { deliveries: 3, ..Limits::default() };
        broker.subscribe(&[Subscription { limits, ..Subscription::new("users", ["*"]) }]).await.unwrap();
        let receiver = Receiver::Remote { client: client().unwrap(), address };
        let (events, jobs) = (Source::subscription("users"), Source::jobs("users"));
        let lanes = vec![
            Lane::new("users", events.clone(), "on-event", receiver.clone()),
            Lane::new("users", events.dead_letters(), "on-dead-letter", receiver.clone()),
            Lane::new("users", jobs, "run-job", receiver),
        ];
        let host = Arc::new(Host::new(ambient, broker.clone(), lanes));
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(host.clone().run(stop.clone()));
        Self { handler, broker, host, clock, stop, task, _directory: directory }
    }

    async fn publish(&self, ids: &[&str]) {
        let messages: Vec<Message> = ids.iter().map(|id| event(id)).collect();
        self.broker.publish(&messages).await.unwrap();
    }

    /// Function, message id and delivery count of each call so far.
    fn calls(&self) -> Vec<String> {
        let calls = self.handler.calls.lock().unwrap();
        let text = |(function, _, envelope): &(String, HeaderMap, Value)| {
            let field =
                |name: &str| envelope["Metadata"][name].as_str().unwrap().trim_matches('"').to_owned();
            format!("{function} {} {}", field("MessageId"), field("DeliveryCount"))
        };
        calls.iter().map(text).collect()
    }

    /// Waits until so many calls have come in.
    async fn called(&self, count: usize) {
        self.handler.running.subscribe().wait_for(|running| *running >= count).await.unwrap();
    }

    async fn is_empty(&self) -> bool {
        self.broker.counts().await.unwrap().is_empty()
    }
}

fn event(id: &str) -> Message {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/functions/notes", "type": "coder.notes.note.made",
        "subject": "s", "time": "2026-01-05T12:00:00Z", "organizationid": "platform", "data": {"text": "é\"\\"},
    });
    Message::of_event(id, Entity::Events, &event)
}

#[tokio::test]
async fn a_handler_at_an_address_is_called_as_the_functions_host_calls() {
    let fixture = Fixture::new([]).await;
    fixture.publish(&["m"]).await;
    let mut job = event("j");
    job.entity = Entity::Jobs;
    job.properties.insert("target".into(), json!("users"));
    fixture.broker.publish(&[job]).await.unwrap();
    fixture.host.settle().await;
    assert!(fixture.is_empty().await, "completed");
    let mut calls = fixture.calls();
    calls.sort();
    assert_eq!(calls, ["on-event m 1", "run-job j 1"]);
    let calls = fixture.handler.calls.lock().unwrap();
    let (_, headers, envelope) = calls.iter().find(|(function, ..)| function == "on-event").unwrap();
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("Azure-Functions-Host/4."));
    assert!(headers["x-azure-functions-hostversion"].to_str().unwrap().starts_with("4."));
    let call = headers["x-azure-functions-invocationid"].to_str().unwrap();
    assert_eq!(envelope["Metadata"]["sys"]["RandGuid"], call);
    assert_eq!(envelope["Metadata"]["sys"]["MethodName"], "on-event");
}

#[tokio::test]
async fn whatever_is_no_success_comes_again_later_and_then_to_the_dead_letters() {
    let bad: [(&str, Answer); 5] = [
        ("status", (500, "application/json", "{}")),
        ("refused", (422, "application/json", "{\"retry\": false}")),
        ("empty", (200, "application/json", "")),
        ("list", (200, "application/json", "[]")),
        ("media", (200, "text/plain", "{}")),
    ];
    let fixture = Fixture::new(bad).await;
    let ids: Vec<&str> = bad.iter().map(|(id, _)| *id).collect();
    fixture.publish(&ids).await;
    fixture.publish(&["good"]).await;
    fixture.host.settle().await;
    assert_eq!(fixture.calls().len(), 6, "once each, then the wait");
    let counts = fixture.broker.counts().await.unwrap()[&Source::subscription("users")];
    assert_eq!((counts.active, counts.locked, counts.dead), (5, 0, 0));
    fixture.clock.advance(SignedDuration::from_secs(1));
    fixture.host.settle().await;
    assert_eq!(fixture.calls().len(), 6, "not before two seconds");
    for _ in 0..3 {
        fixture.clock.advance(SignedDuration::from_secs(10));
        fixture.host.settle().await;
    }
    let calls = fixture.calls();
    for id in ids {
        let of = |function: &str| {
            let start = format!("{function} {id} ");
            calls.iter().filter_map(|call| call.strip_prefix(&start)).collect::<Vec<_>>()
        };
        assert_eq!(of("on-event"), ["1", "2", "3"], "{id}");
        assert!(!of("on-dead-letter").is_empty(), "{id}");
    }
    let dead = fixture.handler.calls.lock().unwrap();
    let (.., letter) = dead.iter().find(|(function, ..)| function == "on-dead-letter").unwrap();
    let properties = &letter["Metadata"]["ApplicationProperties"];
    assert_eq!(properties["DeadLetterReason"], "MaxDeliveryCountExceeded");
    // The broker counts on, and says itself how many deliveries there were before this one.
    assert_eq!(letter["Metadata"]["DeliveryCount"], "4");
    assert!(properties["DeadLetterErrorDescription"].as_str().unwrap().contains("3 times"));
}

#[tokio::test]
async fn sixteen_run_at_once_and_hold_up_no_other_function() {
    let fixture = Fixture::new([]).await;
    let slow: Vec<String> = (0..20).map(|n| format!("slow-{n}")).collect();
    fixture.publish(&slow.iter().map(String::as_str).collect::<Vec<_>>()).await;
    fixture.called(16).await;
    let mut job = event("job");
    job.entity = Entity::Jobs;
    job.properties.insert("target".into(), json!("users"));
    fixture.broker.publish(&[job]).await.unwrap();
    fixture.called(17).await;
    assert_eq!(fixture.calls()[16], "run-job job 1");
    let locked = fixture.broker.counts().await.unwrap()[&Source::subscription("users")];
    assert_eq!((locked.locked, locked.active), (16, 4));
    fixture.clock.advance(SignedDuration::from_secs(3));
    let metrics = Metrics::new();
    fixture.host.measure(&metrics).await;
    let page = metrics.render();
    for line in [
        "messages_active{group=\"users\",entity=\"coder-events\"} 4",
        "messages_dead{group=\"users\",entity=\"coder-events\"} 0",
        "messages_lag_seconds{group=\"users\",entity=\"coder-events\"} 3.0",
        "messages_active{group=\"users\",entity=\"coder-jobs\"} ",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    fixture.handler.open.send_replace(true);
    fixture.host.settle().await;
    assert_eq!(fixture.calls().len(), 21);
    assert!(fixture.is_empty().await);
}

#[tokio::test]
async fn a_slow_or_failing_message_delays_no_other() {
    let fixture = Fixture::new([("bad", (500, "text/plain", ""))]).await;
    fixture.publish(&["slow", "bad", "good-1"]).await;
    fixture.called(3).await;
    fixture.publish(&["good-2"]).await;
    fixture.called(4).await;
    assert!(fixture.calls().contains(&"on-event good-2 1".to_owned()));
    fixture.handler.open.send_replace(true);
    fixture.host.settle().await;
    assert_eq!(fixture.calls().len(), 4);
}

#[tokio::test]
async fn stopping_finishes_what_runs_and_takes_nothing_new() {
    let mut fixture = Fixture::new([]).await;
    fixture.publish(&["slow"]).await;
    fixture.called(1).await;
    fixture.stop.cancel();
    fixture.publish(&["later"]).await;
    fixture.handler.open.send_replace(true);
    fixture.task.join_next().await.unwrap().unwrap();
    let counts = fixture.broker.counts().await.unwrap()[&Source::subscription("users")];
    assert_eq!((counts.active, counts.locked), (1, 0));
    assert_eq!(fixture.calls(), ["on-event slow 1"]);
}

#[tokio::test]
async fn a_delivery_that_is_cut_off_gives_its_message_back_uncounted() {
    let mut fixture = Fixture::new([]).await;
    fixture.publish(&["slow"]).await;
    fixture.called(1).await;
    // The host's task takes its deliveries with it.
    fixture.task.shutdown().await;
    let source = Source::subscription("users");
    let again = loop {
        let changed = fixture.broker.changed();
        if let Some(again) = fixture.broker.receive(&source, 1).await.unwrap().pop() {
            break again;
        }
        changed.await;
    };
    assert_eq!(again.delivery_count, 1);
}

/// A group that keeps what its consumers are given, and its platform.
async fn platform() -> (Platform, Arc<StdMutex<Vec<Event>>>, ManualClock, TempDir) {
    let seen = Arc::<StdMutex<Vec<Event>>>::default();
    let keep = |seen: Arc<StdMutex<Vec<Event>>>, _: Invocation, event: Event| async move {
        seen.lock().unwrap().push(event);
        Ok(())
    };
    let service = seen.clone();
    let group: Group = RouteGroup::new("usage", "Keeps what it is given.")
        .container(Container::new("usage"))
        .on_event("look", "coder.notes.*", keep)
        .service(move |_, _| service);
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at("2026-01-05T12:01:00Z".parse().unwrap());
    let options = crate::Options {
        settings: Settings::for_tests(directory.path()),
        ambient: Ambient::new(clock.clone(), OsEntropy),
        groups: vec![group],
        only: BTreeSet::new(),
    };
    (Platform::start(options).await.unwrap(), seen, clock, directory)
}

#[tokio::test]
async fn an_event_reaches_a_consumer_of_this_process_as_it_was_sent() {
    let (platform, seen, clock, _directory) = platform().await;
    let mut later = event("later");
    later.scheduled_at = Some(platform.assembly.providers.ambient.after(3600));
    let publisher = &platform.assembly.providers.publisher;
    publisher.publish(&[later, event("now")]).await.unwrap();
    platform.settle().await;
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].id.as_str(), seen[0].kind.as_str()), ("now", "coder.notes.note.made"));
        assert_eq!(seen[0].data, json!({"text": "é\"\\"}));
    }
    clock.advance(SignedDuration::from_hours(1));
    platform.settle().await;
    assert_eq!(seen.lock().unwrap()[1].id, "later");
    platform.stop().await;
}

#[tokio::test]
async fn consumers_of_one_name_in_two_groups_each_try_again() {
    let seen = Arc::<StdMutex<Vec<&'static str>>>::default();
    let fail = |seen: Arc<StdMutex<Vec<&'static str>>>, invocation: Invocation, _: Event| async move {
        seen.lock().unwrap().push(invocation.runtime.group);
        Err(coder_core::Failure::internal("not yet").into())
    };
    let group = |name: &'static str| {
        let service = seen.clone();
        RouteGroup::new(name, "Fails.")
            .container(Container::new(name))
            .on_event("purge", "coder.notes.*", fail)
            .service(move |_, _| service)
    };
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at("2026-01-05T12:01:00Z".parse().unwrap());
    let options = crate::Options {
        settings: Settings::for_tests(directory.path()),
        ambient: Ambient::new(clock.clone(), OsEntropy),
        groups: vec![group("usage"), group("logging")],
        only: BTreeSet::new(),
    };
    let platform = Platform::start(options).await.unwrap();
    platform.assembly.providers.publisher.publish(&[event("e")]).await.unwrap();
    platform.settle().await;
    clock.advance(SignedDuration::from_secs(3));
    platform.settle().await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, ["logging", "logging", "usage", "usage"]);
    platform.stop().await;
}
