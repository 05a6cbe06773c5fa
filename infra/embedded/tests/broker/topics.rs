//! Subscriptions last, and everybody on the data directory sees the same.

use std::time::Duration;

use coder_embedded::broker::{Source, Subscription};
use coder_queue::{Message, PublishError, Publisher as _};

use super::{Fixture, event, open, take_all, users};

#[tokio::test]
async fn a_changed_subscription_keeps_what_waits() {
    let fixture = Fixture::new().await;
    fixture.publish(&[event("before")]).await;
    fixture.broker.subscribe(&[Subscription::new("users", ["coder.auth.*"])]).await.unwrap();
    fixture.publish(&[event("after")]).await;
    assert_eq!(fixture.ids(&users()).await, ["before"]);
}

#[tokio::test]
async fn messages_wait_for_a_group_whose_process_is_away() {
    let fixture = Fixture::new().await;
    let Fixture { broker, clock, directory } = fixture;
    drop(broker);
    // A process that serves another group publishes.
    let elsewhere = open(&directory, &clock);
    elsewhere.subscribe(&[Subscription::new("auth", ["coder.*"])]).await.unwrap();
    elsewhere.publish(&[event("m")]).await.unwrap();
    drop(elsewhere);
    let back = open(&directory, &clock);
    back.subscribe(&[Subscription::new("users", ["coder.*"])]).await.unwrap();
    assert_eq!(take_all(&back, &users()).await.len(), 1);
    assert_eq!(take_all(&back, &Source::subscription("auth")).await.len(), 1);
}

#[tokio::test]
async fn a_message_is_received_once_by_brokers_on_one_file() {
    let fixture = Fixture::new().await;
    let other = open(&fixture.directory, &fixture.clock);
    let messages: Vec<Message> = (0..100).map(|n| event(&format!("m-{n}"))).collect();
    fixture.publish(&messages).await;
    let source = users();
    let (mine, theirs) = tokio::join!(take_all(&fixture.broker, &source), take_all(&other, &source));
    let mut ids: Vec<_> = mine.iter().chain(&theirs).map(|delivery| delivery.message.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), mine.len() + theirs.len()), (100, 100));
}

#[tokio::test]
async fn whoever_waits_in_this_process_is_woken_and_asking_costs_no_lock() {
    let fixture = Fixture::new().await;
    let sources = [users(), users().dead_letters(), Source::jobs("users")];
    assert!(fixture.broker.ready(&sources).await.unwrap().is_empty());
    let changed = fixture.broker.changed();
    fixture.publish(&[event("m")]).await;
    tokio::time::timeout(Duration::from_secs(5), changed).await.unwrap();
    assert_eq!(fixture.broker.ready(&sources).await.unwrap(), [users()]);
}

#[tokio::test]
async fn a_job_for_nobody_is_refused() {
    let fixture = Fixture::new().await;
    let mut job = event("job");
    job.entity = coder_queue::Entity::Jobs;
    let refused = fixture.broker.publish(&[job]).await;
    assert!(matches!(refused, Err(PublishError::Permanent { index: 0, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_content_goes_with_the_last_that_had_it() {
    let fixture = Fixture::new().await;
    let more = [Subscription::new("auth", ["coder.*"]), Subscription::new("none", ["coder.auth.*"])];
    fixture.broker.subscribe(&more).await.unwrap();
    fixture.publish(&[event("m")]).await;
    let file = rusqlite::Connection::open(fixture.directory.path().join("queue.db")).unwrap();
    let count = |table: &str| -> i64 {
        file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("messages"), count("contents")), (2, 1), "stored once for both");
    take_all(&fixture.broker, &users()).await;
    assert_eq!((count("messages"), count("contents")), (1, 1));
    take_all(&fixture.broker, &Source::subscription("auth")).await;
    assert_eq!((count("messages"), count("contents"), count("seen")), (0, 0, 1));
    fixture.advance(3601);
    fixture.broker.sweep().await.unwrap();
    assert_eq!(count("seen"), 0, "ids are forgotten after the window");
}
