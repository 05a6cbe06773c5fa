//! Mails that cannot leave at once.

use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ADA, ada, link_token, mails};

/// Everything of one type in the group's container.
async fn everywhere(platform: &TestPlatform, kind: &str) -> Vec<Value> {
    let store = &platform.platform.assembly.providers.store;
    let query = coder_database::Query::new(coder_database::Filter::of_type(kind)).limit(1000);
    let page = store.query_across("auth", &query).await.unwrap();
    page.items.into_iter().map(|document| document.body).collect()
}

/// Lets time pass a minute at a time, as it does; an attempt that is due is made before the next one is.
async fn minutes(platform: &TestPlatform, count: u32) {
    for _ in 0..count {
        platform.advance(SignedDuration::from_mins(1)).await;
    }
}

/// A platform that can write no mail, with a link that was asked for.
async fn without_mail_server() -> TestPlatform {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    platform.settle().await;
    // A directory in its place: no mail can be written.
    let outbox = platform.data_dir().join("mail-outbox.jsonl");
    std::fs::remove_file(&outbox).unwrap();
    std::fs::create_dir(&outbox).unwrap();
    platform.nobody().post("/api/auth/password/forgot", json!({"email": ADA})).await.expect(202);
    platform
}

fn mend(platform: &TestPlatform) {
    std::fs::remove_dir(platform.data_dir().join("mail-outbox.jsonl")).unwrap();
}

#[tokio::test]
async fn a_link_is_tried_for_an_hour_and_leaves_once() {
    let platform = without_mail_server().await;
    // The usual ten attempts take 17 minutes at most.
    minutes(&platform, 45).await;
    assert_eq!(everywhere(&platform, "outgoing-mail").await.len(), 1);
    assert_eq!(everywhere(&platform, "dead-letter").await, Vec::<Value>::new());
    mend(&platform);
    // The longest pause between two attempts.
    minutes(&platform, 10).await;
    link_token(&mails(&platform).await, "reset_password", ADA);
    assert_eq!(everywhere(&platform, "outgoing-mail").await, Vec::<Value>::new());
    minutes(&platform, 20).await;
    assert_eq!(mails(&platform).await.iter().filter(|mail| mail["kind"] == "reset_password").count(), 1);
    assert_eq!(everywhere(&platform, "dead-letter").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_link_that_did_not_leave_within_an_hour_is_a_dead_letter_and_never_leaves() {
    let platform = without_mail_server().await;
    minutes(&platform, 59).await;
    assert_eq!(everywhere(&platform, "dead-letter").await, Vec::<Value>::new());
    minutes(&platform, 11).await;
    let dead = everywhere(&platform, "dead-letter").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((&dead[0]["consumer"], &dead[0]["reason"]), (&json!("send-mail"), &json!("rejected")));
    assert!(dead[0]["description"].as_str().unwrap().contains("within an hour"), "{dead:?}");
    // Nothing that would let somebody in is kept.
    assert!(!dead[0].to_string().contains("token="), "{dead:?}");
    mend(&platform);
    minutes(&platform, 15).await;
    assert_eq!(mails(&platform).await, Vec::<Value>::new());
}
