//! Messages of one session are delivered one at a time, in order.

use coder_core::Timestamp;
use coder_embedded::broker::{Reason, Subscription};
use coder_queue::Message;

use super::{Fixture, event, users};

async fn ordered() -> Fixture {
    let subscription = Subscription { sessions: true, ..Subscription::new("users", ["coder.*"]) };
    Fixture::with(Timestamp::UNIX_EPOCH, &[subscription]).await
}

fn of(session: &str, number: u32) -> Message {
    let mut message = event(&format!("{session}{number}"));
    message.session_id = Some(session.into());
    message
}

#[tokio::test]
async fn the_head_holds_up_its_session_and_no_other() {
    let fixture = ordered().await;
    fixture.publish(&[of("a", 1), of("a", 2), of("b", 1), of("a", 3)]).await;
    let heads = fixture.receive(&users()).await;
    assert_eq!(heads.iter().map(|one| one.message.id.as_str()).collect::<Vec<_>>(), ["a1", "b1"]);
    assert!(fixture.broker.ready(&[users()]).await.unwrap().is_empty(), "not even worth a look");
    // A delayed head holds the session up too.
    let until = Timestamp::from_second(10).unwrap();
    fixture.broker.abandon(&heads[0].lock, Some(until)).await.unwrap();
    assert!(fixture.receive(&users()).await.is_empty());
    fixture.broker.complete(&heads[1].lock).await.unwrap();
    fixture.publish(&[of("b", 2)]).await;
    assert_eq!(fixture.ids(&users()).await, ["b2"]);
    fixture.advance(10);
    let head = fixture.one(&users()).await;
    assert_eq!((head.message.id.as_str(), head.delivery_count), ("a1", 2));
    fixture.broker.complete(&head.lock).await.unwrap();
    assert_eq!(fixture.ids(&users()).await, ["a2"]);
}

#[tokio::test]
async fn a_dead_head_lets_the_session_go_on() {
    let fixture = ordered().await;
    fixture.publish(&[of("a", 1), of("a", 2)]).await;
    let head = fixture.one(&users()).await;
    fixture.broker.dead_letter(&head.lock, Reason::new("r", "d")).await.unwrap();
    assert_eq!(fixture.ids(&users()).await, ["a2"]);
    assert_eq!(fixture.ids(&users().dead_letters()).await, ["a1"]);
}

#[tokio::test]
async fn a_scheduled_message_joins_its_session_when_it_is_due() {
    let fixture = ordered().await;
    let mut first = of("a", 1);
    first.scheduled_at = Some(Timestamp::from_second(10).unwrap());
    fixture.publish(&[first, of("a", 2)]).await;
    let second = fixture.one(&users()).await;
    assert_eq!(second.message.id, "a2");
    fixture.broker.complete(&second.lock).await.unwrap();
    fixture.advance(10);
    fixture.publish(&[of("a", 3)]).await;
    assert_eq!(fixture.ids(&users()).await, ["a1"], "and stands before what comes after it");
}

#[tokio::test]
async fn a_message_without_a_session_waits_for_none() {
    let fixture = ordered().await;
    let (mut one, mut other) = (event("one"), event("other"));
    (one.session_id, other.session_id) = (None, None);
    fixture.publish(&[one, other]).await;
    assert_eq!(fixture.ids(&users()).await, ["one", "other"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_the_order_and_holds_up_nothing() {
    const YEAR: i64 = 365 * 24 * 3600;
    let fixture = ordered().await;
    fixture.advance(YEAR);
    fixture.publish(&[of("a", 1), of("b", 1)]).await;
    let heads = fixture.receive(&users()).await;
    fixture.broker.complete(&heads[1].lock).await.unwrap();
    fixture.publish(&[of("b", 2)]).await;
    fixture.advance(-YEAR);
    fixture.publish(&[of("b", 3)]).await;
    // The lock of `a1` ends in a year: its receiver may settle it, but nobody waits for that.
    let again = fixture.receive(&users()).await;
    assert_eq!(again.iter().map(|one| one.message.id.as_str()).collect::<Vec<_>>(), ["a1", "b2"]);
    for delivery in &again {
        fixture.broker.complete(&delivery.lock).await.unwrap();
    }
    assert_eq!(fixture.ids(&users()).await, ["b3"]);
}
