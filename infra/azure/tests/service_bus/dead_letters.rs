//! The broker's own dead letters: reading them under a lock, removing them, sending them again.

use coder_azure::service_bus::DeadLetterQueue;
use coder_azure::service_bus::dead_letters::{DeadLetterError, DeadMessage};
use coder_embedded::broker::{Reason, Source};
use coder_queue::{Entity, Message, Publisher as _, contract};
use jiff::SignedDuration;
use serde_json::json;

use super::{World, event};
use crate::doubles::service_bus::NAMESPACE;
use crate::doubles::transport::InProcess;

/// A world in which the subscription `teams` gave up this message, which other groups have had.
async fn given_up(mut message: Message) -> (World, DeadLetterQueue) {
    let world = World::new().await;
    message.properties.insert("type".into(), json!("coder.users.team.made"));
    world.bus.publish(&[message]).await.unwrap();
    let found = world.broker.receive(&Source::subscription("teams"), 1).await.unwrap().remove(0);
    let why = Reason::new("MaxDeliveryCountExceeded", "It was delivered 10 times.");
    world.broker.dead_letter(&found.lock, why).await.unwrap();
    world.take("all").await;
    let queue = world.bus.dead_letters(Entity::Events, "teams");
    (world, queue)
}

/// A world in which the subscription `teams` gave up these messages, in this order.
async fn all_given_up(ids: [&str; 3]) -> (World, DeadLetterQueue) {
    let world = World::new().await;
    for id in ids {
        let mut message = event(id);
        message.properties.insert("type".into(), json!("coder.users.team.made"));
        world.bus.publish(&[message]).await.unwrap();
        let found = world.broker.receive(&Source::subscription("teams"), 1).await.unwrap().remove(0);
        world.broker.dead_letter(&found.lock, Reason::new("Refused", "")).await.unwrap();
    }
    let queue = world.bus.dead_letters(Entity::Events, "teams");
    (world, queue)
}

/// The ids that a visit of at most so many sees, and whether there may be more.
async fn seen(queue: &DeadLetterQueue, most: usize) -> (Vec<String>, bool) {
    let mut seen = Vec::new();
    let more = queue.visit(most, async |dead| {
        seen.push(dead.message.id.clone());
        false
    });
    let more = more.await.unwrap();
    (seen, more)
}

async fn one(queue: &DeadLetterQueue) -> DeadMessage {
    queue.receive().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_dead_letter_is_read_with_its_reason_and_removed() {
    let mut sent = event("m");
    sent.properties.insert("consumer".into(), json!("look"));
    sent.properties.insert("attempt".into(), json!(3));
    let (world, queue) = given_up(sent.clone()).await;
    let dead = one(&queue).await;
    sent.properties.insert("type".into(), json!("coder.users.team.made"));
    assert_eq!((&dead.message.id, &dead.message.body), (&sent.id, &sent.body));
    assert_eq!(dead.message.properties, sent.properties);
    assert_eq!(
        (dead.message.subject.as_deref(), dead.message.session_id.as_deref()),
        (Some("n-1"), Some("n-1"))
    );
    assert_eq!(dead.reason.as_deref(), Some("MaxDeliveryCountExceeded"));
    assert_eq!(dead.description.as_deref(), Some("It was delivered 10 times."));
    assert_eq!(queue.receive().await.unwrap(), None, "it is locked");
    queue.complete(&dead).await.unwrap();
    assert_eq!(queue.complete(&dead).await, Err(DeadLetterError::LockLost));
    let paths: Vec<String> =
        world.front.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).skip(1).collect();
    let head = "POST /coder-events/subscriptions/teams/$DeadLetterQueue/messages/head?timeout=1";
    assert_eq!(paths[..2], [head, head]);
    assert!(paths[2].starts_with("DELETE /coder-events/subscriptions/teams/$DeadLetterQueue/messages/"));
}

#[tokio::test]
async fn a_lock_ends_and_can_be_given_back() {
    let (world, queue) = given_up(event("m")).await;
    let dead = one(&queue).await;
    queue.release(&dead).await.unwrap();
    let again = one(&queue).await;
    assert_eq!(again.sequence_number, dead.sequence_number);
    world.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(queue.complete(&again).await, Err(DeadLetterError::LockLost));
    queue.complete(&one(&queue).await).await.unwrap();
    assert_eq!(queue.receive().await.unwrap(), None);
}

#[tokio::test]
async fn a_replay_reaches_the_group_alone_and_with_all_its_attempts() {
    let mut sent = event(&"i".repeat(128));
    sent.properties.insert("attempt".into(), json!(3));
    let (world, queue) = given_up(sent).await;
    queue.replay(&one(&queue).await, None, &world.bus).await.unwrap();
    assert!(world.take("all").await.is_empty());
    let taken = world.take("teams").await;
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].text("target"), taken[0].properties.get("attempt")), (Some("teams"), None));
    assert_eq!(queue.receive().await.unwrap(), None);
}

#[tokio::test]
async fn a_replay_that_could_not_remove_the_message_sends_it_once() {
    let (world, queue) = given_up(event("m")).await;
    let dead = one(&queue).await;
    world.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(queue.replay(&dead, None, &world.bus).await, Err(DeadLetterError::LockLost));
    queue.replay(&one(&queue).await, None, &world.bus).await.unwrap();
    assert_eq!(world.take("teams").await.len(), 1);
}

#[tokio::test]
async fn jobs_have_dead_letters_of_their_own() {
    let world = World::new().await;
    let queue = world.bus.dead_letters(Entity::Jobs, "users");
    assert_eq!(queue.receive().await.unwrap(), None);
    let path = &world.front.seen()[0].path;
    assert_eq!(path, "/coder-jobs/subscriptions/users/$DeadLetterQueue/messages/head?timeout=1");
}

#[tokio::test]
async fn the_token_goes_to_the_namespace_and_nowhere_else() {
    let broker = r#"{"MessageId":"m","SequenceNumber":7}"#;
    for lock in
        ["https://elsewhere.example/lock", "http://coder-test.servicebus.windows.net/lock", "//evil/x"]
    {
        let mut world = World::new().await;
        let head = [("brokerproperties", broker), ("location", lock)];
        let lying = axum::Router::new().fallback(async move || (http::StatusCode::CREATED, head, "{}"));
        world.bus = world.bus_by(InProcess::to(NAMESPACE, lying));
        let queue = world.bus.dead_letters(Entity::Events, "teams");
        let dead = one(&queue).await;
        let error = queue.complete(&dead).await.unwrap_err();
        assert!(error.to_string().contains("outside the namespace"), "{error}");
    }
    assert!(NAMESPACE.starts_with("coder-test"));
}

#[tokio::test]
async fn an_answer_that_is_no_message_is_told() {
    let cases: [&[(&str, &str)]; 3] = [
        &[("location", "/lock")],
        &[("brokerproperties", "{"), ("location", "/lock")],
        &[("brokerproperties", r#"{"MessageId":"m","SequenceNumber":7}"#)],
    ];
    for case in cases {
        let mut world = World::new().await;
        let mut headers = http::HeaderMap::new();
        for (name, value) in case {
            headers.insert(*name, value.parse().unwrap());
        }
        let router = axum::Router::new().fallback(async move || (http::StatusCode::CREATED, headers.clone()));
        world.bus = world.bus_by(InProcess::to(NAMESPACE, router));
        let error = world.bus.dead_letters(Entity::Events, "teams").receive().await.unwrap_err();
        assert!(matches!(error, DeadLetterError::Unreadable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_visit_leaves_what_it_does_not_settle_as_it_was() {
    let (_world, queue) = all_given_up(["a", "b", "c"]).await;
    assert_eq!(seen(&queue, 10).await, (vec!["a".into(), "b".into(), "c".into()], false));
    assert_eq!(seen(&queue, 2).await, (vec!["a".into(), "b".into()], true));
    let more = queue.visit(10, async |dead| {
        let settles = dead.message.id == "b";
        if settles {
            queue.complete(dead).await.unwrap();
        }
        settles
    });
    assert!(!more.await.unwrap());
    assert_eq!(seen(&queue, 10).await.0, ["a", "c"]);
}

#[tokio::test]
async fn a_visit_that_outlasts_its_locks_ends_and_says_so() {
    let (world, queue) = all_given_up(["a", "b", "c"]).await;
    let mut seen = Vec::new();
    let more = queue.visit(10, async |dead| {
        seen.push(dead.message.id.clone());
        if seen.len() == 2 {
            world.clock.advance(SignedDuration::from_mins(10));
        }
        false
    });
    assert!(more.await.unwrap());
    assert_eq!(seen, ["a", "b"]);
}

#[tokio::test]
async fn a_visit_that_fails_gives_back_what_it_holds() {
    let (world, queue) = all_given_up(["a", "b", "c"]).await;
    let visit = queue.visit(10, async |dead| {
        if dead.message.id == "b" {
            world.tell([(401, None, "no right to listen")]);
        }
        false
    });
    let error = visit.await.unwrap_err();
    assert!(error.to_string().contains("no right to listen"), "{error}");
    assert_eq!(seen(&queue, 10).await.0, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_replay_can_be_for_later() {
    let (world, queue) = given_up(event("m")).await;
    let dead = one(&queue).await;
    assert!(dead.enqueued_at.is_some());
    let due = contract::start() + SignedDuration::from_mins(5);
    queue.replay(&dead, Some(due), &world.bus).await.unwrap();
    assert!(world.take("teams").await.is_empty());
    world.clock.advance(SignedDuration::from_mins(6));
    assert_eq!(world.take("teams").await.len(), 1);
}
