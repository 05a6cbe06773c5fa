//! What publishing puts on the wire, and how calls that do not fit into one request are divided.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coder_azure::service_bus::{InvalidNamespace, ServiceBus};
use coder_core::Ambient;
use coder_queue::message::SIZE_LIMIT;
use coder_queue::{Message, PublishError, Publisher as _};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::{Identity, World, event, events, ids};

#[tokio::test]
async fn a_call_is_one_request_byte_for_byte() {
    let world = World::on_a_socket().await;
    let [mut first, mut second] = [event("m-1"), event("m-2")];
    (first.body, second.body) = (br#"{"id":"m-1"}"#.into(), "\"é\n".into());
    second.ttl_seconds = Some(40);
    second.scheduled_at = Some("2026-11-23T08:46:50Z".parse().unwrap());
    world.bus.publish(&[first, second]).await.unwrap();
    let seen = world.front.seen();
    assert_eq!(seen.len(), 1);
    let request = &seen[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/coder-events/messages"));
    assert_eq!(request.header("authorization"), "Bearer token-1");
    assert_eq!(request.header("content-type"), "application/vnd.microsoft.servicebus.json");
    assert_eq!(request.header("content-length"), request.body.len().to_string());
    let user = r#""UserProperties":{"organizationid":"platform","type":"coder.notes.note.made"}"#;
    let wanted = [
        r#"[{"Body":"{\"id\":\"m-1\"}","BrokerProperties":{"MessageId":"m-1","Label":"n-1","SessionId":"n-1"},"#,
        user,
        r#"},{"Body":"\"é\n","BrokerProperties":{"MessageId":"m-2","Label":"n-1","SessionId":"n-1","#,
        r#""ScheduledEnqueueTimeUtc":"Mon, 23 Nov 2026 08:46:50 GMT","TimeToLive":40,"#,
        r#""TimeToLiveTimeSpan":"0.00:00:40"},"#,
        user,
        "}]",
    ];
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), wanted.concat());
}

#[tokio::test]
async fn what_is_no_text_arrives_as_it_was_with_its_properties() {
    let world = World::on_a_socket().await;
    let mut message = event("m");
    message.body = vec![0, 255, 128];
    message.subject = Some("é 漢".into());
    message.properties.insert("attempt".into(), 3.into());
    world.bus.publish(&[event("before"), message.clone(), event("after")]).await.unwrap();
    let taken = world.take("all").await;
    assert_eq!(ids(&taken), ["before", "m", "after"]);
    assert_eq!(taken[1], message);
}

#[tokio::test]
async fn nothing_is_sent_before_the_first_use_and_one_token_serves_many() {
    let world = World::new().await;
    assert_eq!((world.identity.calls.load(Ordering::SeqCst), world.requests()), (0, 0));
    world.bus.publish(&[]).await.unwrap();
    assert_eq!((world.identity.calls.load(Ordering::SeqCst), world.requests()), (0, 0));
    for n in 0..5 {
        world.bus.publish(&[event(&format!("m-{n}"))]).await.unwrap();
    }
    assert_eq!((world.identity.calls.load(Ordering::SeqCst), world.requests()), (1, 5));
    assert_eq!(*world.identity.scopes.lock().unwrap(), ["https://servicebus.azure.net/.default"]);
}

#[tokio::test]
async fn what_json_makes_too_large_for_one_request_is_divided_in_order() {
    let world = World::new().await;
    let mut messages = events(20);
    for message in &mut messages {
        message.body = vec![b'"'; SIZE_LIMIT / 20 - 1000];
    }
    world.bus.publish(&messages).await.unwrap();
    let seen = world.front.seen();
    assert!((2..=4).contains(&seen.len()), "{} requests", seen.len());
    assert!(seen.iter().all(|request| request.body.len() <= SIZE_LIMIT));
    assert_eq!(world.ids("all").await, ids(&messages));
}

#[tokio::test]
async fn a_single_message_that_json_makes_too_large_goes_raw() {
    let world = World::new().await;
    let mut message = event("m");
    message.body = vec![b'"'; SIZE_LIMIT - 1000];
    world.bus.publish(std::slice::from_ref(&message)).await.unwrap();
    assert_eq!(world.front.seen()[0].header("content-type"), message.content_type);
    assert_eq!(world.take("all").await, [message]);
}

#[tokio::test]
async fn the_one_message_that_is_refused_is_found_and_keeps_back_no_other() {
    let world = World::new().await;
    let mut messages = events(100);
    *world.front.poison.lock().unwrap() = Some("m-037");
    let PublishError::Permanent { index, reason } = world.bus.publish(&messages).await.unwrap_err() else {
        panic!("not refused for good")
    };
    assert_eq!(index, 37);
    assert!(reason.contains("A property cannot be read."), "{reason}");
    assert!(world.requests() <= 15, "{} requests", world.requests());
    // As the outbox does: the rest again. What was already published is a repeat.
    messages.remove(index);
    world.bus.publish(&messages).await.unwrap();
    assert_eq!(world.ids("all").await, ids(&messages));
}

#[tokio::test]
async fn several_that_are_refused_are_found_one_after_the_other() {
    let world = World::new().await;
    let mut messages = events(8);
    for n in [0, 3, 7] {
        messages[n].properties.insert("odd".into(), "poison".into());
    }
    *world.front.poison.lock().unwrap() = Some("poison");
    let mut found = Vec::new();
    while let Err(error) = world.bus.publish(&messages).await {
        let PublishError::Permanent { index, .. } = error else { panic!("{error}") };
        found.push(messages.remove(index).id);
    }
    assert_eq!(found, ["m-000", "m-003", "m-007"]);
    assert_eq!(world.ids("all").await, ids(&messages));
}

/// Any text that a property, a subject or a body can be.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| Value::from(number)),
    ]
}

prop_compose! {
    fn any_message()(
        body in prop_oneof![text().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..24)],
        subject in prop::option::of(text()),
        session in prop::option::of("[a-zé漢\"\\\\]{1,20}"),
        more in prop::collection::btree_map("[a-z]{1,8}", scalar(), 0..4),
    ) -> Message {
        let mut message = event("m");
        (message.body, message.subject, message.session_id) = (body, subject, session);
        message.properties.extend(more.into_iter().map(|(name, value)| (format!("x{name}"), value)));
        message
    }
}

#[test]
fn any_message_arrives_as_it_was() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let number = AtomicUsize::new(0);
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let run = runner.run(&any_message(), |mut message| {
        message.id = format!("m-{}", number.fetch_add(1, Ordering::SeqCst));
        runtime.block_on(async {
            world.bus.publish(std::slice::from_ref(&message)).await.unwrap();
            let mut taken = world.take("all").await;
            // In the form for texts it does not travel.
            taken[0].content_type.clone_from(&message.content_type);
            prop_assert_eq!(&taken, std::slice::from_ref(&message));
            Ok(())
        })
    });
    run.unwrap();
}

#[test]
fn only_a_host_name_is_a_namespace() {
    let bus = |name: &str| ServiceBus::new(name, Arc::new(Identity::default()), Ambient::system()).map(drop);
    assert_eq!(bus("coder.servicebus.windows.net"), Ok(()));
    let wrong =
        ["", "https://coder.servicebus.windows.net", "a/b", "a:1", "user@host", "a?b", "a b", "Upper.net"];
    for name in wrong {
        let error: InvalidNamespace = bus(name).expect_err(name);
        assert!(error.to_string().contains(&format!("`{name}`")));
    }
}
