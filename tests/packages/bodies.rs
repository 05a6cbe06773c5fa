//! Every body that a Functions host sends, to every function of every app.

use coder_database::{PlatformJob, Query, Repository};
use coder_queue::DeadLetter;
use coder_queue::dead_letter::Reason;
use coder_startup::Providers;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::apps::{App, apps, functions, open};

const ENVELOPES: &str = include_str!("../../infra/handler/tests/fixtures/envelopes.json");

/// A body, and whether there is an event in it.
#[derive(Deserialize)]
struct Fixture {
    name: String,
    event: String,
    body: Value,
}

/// A message that the broker delivered too often.
const GIVEN_UP: &str = "service bus, given up";

/// The fixtures, each with a message id that no other function is given.
fn fixtures(function: &str) -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = serde_json::from_str(ENVELOPES).unwrap();
    for (number, fixture) in fixtures.iter_mut().enumerate() {
        if let Some(id) = fixture.body.pointer_mut("/Metadata/MessageId").filter(|id| id.is_string()) {
            *id = json!(format!("\"{function}-{number}\""));
        }
    }
    // First what tells most: of one event there is one dead letter, which says why it came last.
    fixtures.sort_by_key(|fixture| fixture.name != GIVEN_UP);
    fixtures
}

/// What the host puts into `Metadata` of a message, by its source code.
const OF_A_MESSAGE: [&str; 28] = [
    "DeliveryCount",
    "MessageId",
    "LockToken",
    "SequenceNumber",
    "EnqueuedTimeUtc",
    "EnqueuedTime",
    "ExpiresAtUtc",
    "ExpiresAt",
    "ContentType",
    "CorrelationId",
    "Subject",
    "Label",
    "ApplicationProperties",
    "UserProperties",
    "MessageReceiver",
    "MessageSession",
    "MessageActions",
    "SessionActions",
    "ReceiveActions",
    "Client",
    "sys",
    "DeadLetterSource",
    "ReplyTo",
    "To",
    "SessionId",
    "ReplyToSessionId",
    "PartitionKey",
    "TransactionPartitionKey",
];

/// Each kind of body that the host has, and where in it is what only that kind has.
const KINDS: [(&str, &[&str]); 13] = [
    (
        "timer, monitored",
        &["/Data/tick/ScheduleStatus/LastUpdated", "/Data/tick/IsPastDue", "/Metadata/sys/UtcNow"],
    ),
    ("timer, never run before, late, times in UTC", &["/Data/tick/ScheduleStatus/Last"]),
    ("timer, not monitored", &["/Data/tick/ScheduleStatus"]),
    ("service bus, binary", &["/Data/message", "/Metadata/LockToken"]),
    ("service bus, text, spilled into the metadata", &["/Metadata/id", "/Metadata/subject"]),
    ("service bus, plain text", &["/Data/message"]),
    ("service bus, a retry policy", &["/Metadata/RetryContext/MaxRetryCount"]),
    ("service bus, a batch of bytes", &["/Metadata/MessageIdArray", "/Metadata/ApplicationPropertiesArray"]),
    ("service bus, a batch of texts", &["/Metadata/MessageIdArray"]),
    ("service bus, given up", &["/Metadata/DeadLetterSource"]),
    ("cosmos db", &["/Data/docs"]),
    ("storage queue", &["/Metadata/PopReceipt", "/Metadata/NextVisibleTime"]),
    ("http, neither proxied nor forwarded", &["/Data/request/Url", "/Data/request/Identities"]),
];

#[test]
fn no_kind_of_body_is_left_out() {
    let fixtures = fixtures("any");
    let body = |name: &str| {
        let found = fixtures.iter().find(|fixture| fixture.name == name);
        &found.unwrap_or_else(|| panic!("no body `{name}`")).body
    };
    for (name, places) in KINDS {
        for place in places {
            assert!(body(name).pointer(place).is_some(), "`{name}` has no {place}");
        }
    }
    let every = &body("service bus, every property that the broker knows")["Metadata"];
    let missing: Vec<_> = OF_A_MESSAGE.into_iter().filter(|name| every.get(name).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

async fn dead_letters(providers: &Providers, group: &str) -> Vec<DeadLetter> {
    let groups = coder_platform::route_groups();
    let container = groups.iter().find(|one| one.name == group).unwrap().containers[0].name;
    let records = Repository::<DeadLetter>::new(providers.store.clone(), container);
    let query = Query::new(None).limit(1000);
    let (page, _) = records.page_across(&PlatformJob::begin(), &query).await.unwrap();
    page.into_iter().map(|(_, record)| record.data).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_of_every_app_answers_so_that_the_host_can_go_on() {
    for package in apps() {
        let data = tempfile::tempdir().unwrap();
        let app = App::start(package, data.path(), &[]);
        let providers = open(data.path()).await;
        let mut names = functions(package);
        assert!(names.len() >= 3, "{names:?}");
        // First, while nothing else has left dead letters.
        names.sort_by_key(|name| name != "on-event");
        for function in &names {
            for fixture in fixtures(function) {
                let about = format!("{}/{function}, {}", app.group, fixture.name);
                let consumes = function == "on-event";
                let before = if consumes { dead_letters(&providers, app.group).await.len() } else { 0 };
                let answer = app.call(function, fixture.body.to_string()).await;
                // A message must not come again that was kept, or that cannot be helped; a timer may have failed.
                match function.strip_prefix("every-") {
                    Some(_) => timer_answers(&answer.body, answer.status, &about),
                    None => assert_eq!(answer.status, 200, "{about}: {answer:?}"),
                }
                if consumes {
                    let kept = dead_letters(&providers, app.group).await.len() - before;
                    assert_eq!(kept, usize::from(fixture.event == "malformed"), "{about}");
                }
                if function.starts_with("on-dead-") && fixture.name == GIVEN_UP {
                    let letters = dead_letters(&providers, app.group).await;
                    let given_up =
                        letters.iter().any(|letter| letter.reason == Reason::DeliveryCountExceeded);
                    assert!(given_up, "{about}: what the broker gave up is kept");
                }
            }
            for body in ["", "good morning", "{\"Data\":", "\u{feff}{}"] {
                let answer = app.call(function, body.to_owned()).await;
                assert_eq!(answer.status, 400, "{}/{function}, `{body}`: {answer:?}", app.group);
            }
        }
        let answer = app.call("on-nothing", "{}".to_owned()).await;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
}

/// A timer says what became of the call, or that it has failed and is to be called at its next time.
#[track_caller]
fn timer_answers(body: &Value, status: u16, about: &str) {
    let outcome = body["ReturnValue"]["outcome"].as_str().unwrap_or_default();
    let known = ["ran", "done", "held"].contains(&outcome);
    assert!(status == 200 && known || status == 500 && body["retry"] == true, "{about}: {status} {body}");
}

/// What is served is what the host is told of: no function is hidden, and none is only a folder.
#[test]
fn an_app_has_the_functions_of_its_group() {
    for package in apps() {
        let groups = coder_platform::route_groups();
        let group = groups.iter().find(|group| group.name == package.group).unwrap();
        let mut declared = group.functions();
        declared.sort();
        assert_eq!(functions(package), declared, "{}", package.group);
        let http = std::fs::read(package.folder.join("http/function.json")).unwrap();
        let http: Value = serde_json::from_slice(&http).unwrap();
        assert_eq!(http["bindings"][0]["route"], "{*path}");
        assert_eq!(http["bindings"][0]["authLevel"], "anonymous");
        assert!(package.glibc.is_some() || cfg!(target_env = "musl"), "{package:?}");
    }
}
