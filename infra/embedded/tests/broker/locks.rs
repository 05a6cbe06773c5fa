//! Locks, settlement, dead letters.

use coder_core::Timestamp;
use coder_embedded::broker::{Counts, Limits, Reason, SettleError, Source, Subscription};
use coder_queue::Publisher as _;
use serde_json::json;

use super::{Fixture, event, open, users};

#[tokio::test]
async fn a_locked_message_is_nobody_elses_until_its_lock_ends() {
    let fixture = Fixture::new().await;
    fixture.publish(&[event("m")]).await;
    let first = fixture.one(&users()).await;
    assert_eq!((first.delivery_count, first.lock.sequence_number), (1, 1));
    fixture.advance(59);
    assert!(fixture.receive(&users()).await.is_empty());
    assert_eq!(fixture.broker.renew(&first.lock).await.unwrap().as_second(), 119);
    fixture.advance(59);
    assert!(fixture.receive(&users()).await.is_empty(), "renewed");
    fixture.advance(1);
    let second = fixture.one(&users()).await;
    assert_eq!(second.delivery_count, 2);
    for lost in [
        fixture.broker.complete(&first.lock).await,
        fixture.broker.abandon(&first.lock, None).await,
        fixture.broker.release(&first.lock).await,
        fixture.broker.dead_letter(&first.lock, Reason::new("r", "d")).await,
        fixture.broker.renew(&first.lock).await.map(drop),
    ] {
        assert_eq!(lost, Err(SettleError::LockLost));
    }
    fixture.broker.complete(&second.lock).await.unwrap();
    assert_eq!(fixture.broker.complete(&second.lock).await, Err(SettleError::LockLost), "gone");
    fixture.advance(3600);
    assert!(fixture.receive(&users()).await.is_empty());
}

#[tokio::test]
async fn an_ended_lock_settles_nothing_even_if_nobody_else_has_the_message() {
    let fixture = Fixture::new().await;
    fixture.publish(&[event("m")]).await;
    let late = fixture.one(&users()).await;
    fixture.advance(60);
    assert_eq!(fixture.broker.complete(&late.lock).await, Err(SettleError::LockLost));
    assert_eq!(fixture.one(&users()).await.delivery_count, 2);
}

#[tokio::test]
async fn an_abandoned_message_comes_again_when_it_should_and_delays_no_other() {
    let fixture = Fixture::new().await;
    fixture.publish(&[event("bad"), event("good")]).await;
    let bad = fixture.receive(&users()).await.remove(0);
    let later = Timestamp::from_second(30).unwrap();
    fixture.broker.abandon(&bad.lock, Some(later)).await.unwrap();
    fixture.publish(&[event("new")]).await;
    assert_eq!(fixture.ids(&users()).await, ["new"]);
    fixture.advance(30);
    let again = fixture.one(&users()).await;
    assert_eq!((again.message.id.as_str(), again.delivery_count), ("bad", 2));
    fixture.broker.release(&again.lock).await.unwrap();
    assert_eq!(fixture.one(&users()).await.delivery_count, 2, "a released delivery does not count");
}

#[tokio::test]
async fn the_last_delivery_makes_a_dead_letter() {
    let limits = Limits { deliveries: 3, ..Limits::default() };
    let subscription = Subscription { limits, ..Subscription::new("users", ["coder.*"]) };
    let fixture = Fixture::with(Timestamp::UNIX_EPOCH, &[subscription]).await;
    fixture.publish(&[event("abandoned"), event("expired")]).await;
    for delivery in 1..=3 {
        let found = fixture.receive(&users()).await;
        assert_eq!(found.iter().map(|one| one.delivery_count).collect::<Vec<_>>(), [delivery, delivery]);
        // One fails at once, the other's receiver dies.
        let abandoned = found.iter().find(|one| one.message.id == "abandoned").unwrap();
        fixture.broker.abandon(&abandoned.lock, None).await.unwrap();
        fixture.advance(60);
    }
    assert!(fixture.receive(&users()).await.is_empty());
    let dead = fixture.receive(&users().dead_letters()).await;
    assert_eq!(dead.len(), 2);
    for letter in dead {
        let reason = letter.dead_letter.unwrap();
        assert_eq!(reason.reason, "MaxDeliveryCountExceeded");
        assert!(reason.description.contains('3'), "{}", reason.description);
        assert_eq!(letter.expires_at, None);
    }
}

#[tokio::test]
async fn a_dead_letter_is_received_like_any_message_and_never_dies_again() {
    let fixture = Fixture::new().await;
    fixture.publish(&[event("m")]).await;
    let refused = fixture.one(&users()).await;
    fixture.broker.dead_letter(&refused.lock, Reason::new("Unreadable", "no JSON")).await.unwrap();
    assert!(fixture.receive(&users()).await.is_empty());
    let dead = users().dead_letters();
    for _ in 0..20 {
        let letter = fixture.one(&dead).await;
        assert_eq!(letter.message, event("m"));
        assert_eq!(letter.dead_letter, Some(Reason::new("Unreadable", "no JSON")));
        fixture.broker.abandon(&letter.lock, None).await.unwrap();
    }
    fixture.advance(365 * 24 * 3600);
    fixture.broker.sweep().await.unwrap();
    let letter = fixture.one(&dead).await;
    fixture.broker.complete(&letter.lock).await.unwrap();
    assert!(fixture.broker.counts().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_waited_too_long_is_a_dead_letter_with_or_without_a_receiver() {
    let fixture = Fixture::new().await;
    let mut short = event("short");
    short.ttl_seconds = Some(10);
    let mut scheduled = event("scheduled");
    (scheduled.ttl_seconds, scheduled.scheduled_at) = (Some(10), Some(Timestamp::from_second(100).unwrap()));
    fixture.publish(&[short, scheduled, event("long")]).await;
    fixture.advance(10);
    assert_eq!(fixture.ids(&users()).await, ["long"], "buried by whoever receives");
    let dead = users().dead_letters();
    assert_eq!(fixture.one(&dead).await.dead_letter.unwrap().reason, "TTLExpiredException");
    fixture.advance(99);
    assert_eq!(fixture.broker.counts().await.unwrap()[&users()].dead, 1);
    fixture.advance(1);
    fixture.broker.sweep().await.unwrap();
    assert_eq!(fixture.broker.counts().await.unwrap()[&users()].dead, 2, "buried by the sweep");
    fixture.advance(14 * 24 * 3600);
    fixture.broker.sweep().await.unwrap();
    assert_eq!(
        fixture.broker.counts().await.unwrap()[&users()].dead,
        3,
        "every subscription has its own end"
    );
}

#[tokio::test]
async fn counts_tell_what_waits_and_since_when() {
    let fixture = Fixture::new().await;
    let mut later = event("later");
    later.scheduled_at = Some(Timestamp::from_second(1000).unwrap());
    fixture.publish(&[event("a"), later]).await;
    fixture.advance(5);
    let mut job = event("job");
    (job.entity, job.id) = (coder_queue::Entity::Jobs, "job".into());
    job.properties.insert("target".into(), json!("users"));
    fixture.publish(&[event("b"), event("c")]).await;
    fixture.publish(&[job]).await;
    let [a, ..] = &fixture.broker.receive(&users(), 1).await.unwrap()[..] else { panic!("nothing") };
    let counts = fixture.broker.counts().await.unwrap();
    let oldest = Some(Timestamp::from_second(5).unwrap());
    assert_eq!(counts[&users()], Counts { active: 2, scheduled: 1, locked: 1, dead: 0, oldest });
    assert_eq!(counts[&Source::jobs("users")], Counts { active: 1, oldest, ..Counts::default() });
    fixture.broker.dead_letter(&a.lock, Reason::new("r", "d")).await.unwrap();
    let counts = fixture.broker.counts().await.unwrap();
    assert_eq!((counts[&users()].locked, counts[&users()].dead), (0, 1));
}

#[tokio::test]
async fn a_broker_that_is_opened_again_has_everything() {
    let fixture = Fixture::new().await;
    fixture.publish(&[event("locked"), event("waiting")]).await;
    let locked = fixture.broker.receive(&users(), 1).await.unwrap().remove(0);
    let super::Fixture { broker, clock, directory } = fixture;
    drop(broker);
    let broker = open(&directory, &clock);
    broker.publish(&[event("waiting")]).await.unwrap();
    let rest = broker.receive(&users(), 10).await.unwrap();
    assert_eq!(rest.iter().map(|one| one.message.id.as_str()).collect::<Vec<_>>(), ["waiting"]);
    broker.complete(&locked.lock).await.unwrap();
    assert!(broker.receive(&Source::subscription("strangers"), 1).await.is_err(), "nobody declared it");
}
