//! Mails that cannot leave at once.

use coder_database::{Filter, Operation, PartitionKey, Query};
use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ADA, ada, bring_back, link_token, mails, take_away};

/// Everything of one type in the group's container.
async fn everywhere(platform: &TestPlatform, kind: &str) -> Vec<Value> {
    let store = &platform.platform.assembly.providers.store;
    let query = Query::new(Filter::of_type(kind)).limit(1000);
    let page = store.query_across("auth", &query).await.unwrap();
    page.items.into_iter().map(|document| document.body).collect()
}

/// Lets time pass a minute at a time, as it does; an attempt that is due is made before the next one is.
async fn minutes(platform: &TestPlatform, count: u32) {
    for _ in 0..count {
        platform.advance(SignedDuration::from_mins(1)).await;
    }
}

/// A platform without the notifications group, with a link that was asked for.
async fn without_notifications() -> TestPlatform {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    platform.settle().await;
    take_away(&platform, "notifications");
    platform.nobody().post("/api/auth/password/forgot", json!({"email": ADA})).await.expect(202);
    platform
}

/// How many links to set a new password were mailed.
async fn resets(platform: &TestPlatform) -> usize {
    let is_reset = |mail: &&Value| mail["topic"] == "account.reset-password";
    mails(platform).await.iter().filter(is_reset).count()
}

#[tokio::test]
async fn a_link_is_tried_for_an_hour_and_leaves_once() {
    let platform = without_notifications().await;
    // The usual ten attempts take 17 minutes at most.
    minutes(&platform, 45).await;
    assert_eq!(everywhere(&platform, "outgoing-mail").await.len(), 1);
    assert_eq!(everywhere(&platform, "dead-letter").await, Vec::<Value>::new());
    bring_back(&platform, "notifications");
    // The longest pause between two attempts.
    minutes(&platform, 10).await;
    link_token(&mails(&platform).await, "account.reset-password", ADA);
    assert_eq!(everywhere(&platform, "outgoing-mail").await, Vec::<Value>::new());
    minutes(&platform, 20).await;
    assert_eq!(resets(&platform).await, 1);
    assert_eq!(everywhere(&platform, "dead-letter").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_link_that_did_not_leave_within_an_hour_is_a_dead_letter_and_never_leaves() {
    let platform = without_notifications().await;
    minutes(&platform, 59).await;
    assert_eq!(everywhere(&platform, "dead-letter").await, Vec::<Value>::new());
    minutes(&platform, 11).await;
    let dead = everywhere(&platform, "dead-letter").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((&dead[0]["consumer"], &dead[0]["reason"]), (&json!("send-mail"), &json!("rejected")));
    assert!(dead[0]["description"].as_str().unwrap().contains("within an hour"), "{dead:?}");
    // Nothing that would let somebody in is kept.
    assert!(!dead[0].to_string().contains("token="), "{dead:?}");
    bring_back(&platform, "notifications");
    minutes(&platform, 15).await;
    assert_eq!(resets(&platform).await, 0);
}

#[tokio::test]
async fn a_link_that_is_handed_over_twice_is_mailed_once_and_nowhere_in_the_clear() {
    let platform = without_notifications().await;
    platform.settle().await;
    let waiting = everywhere(&platform, "outgoing-mail").await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let (mail, partition) = (&waiting[0], waiting[0]["partitionKey"].as_str().unwrap());
    bring_back(&platform, "notifications");
    let assembly = &platform.platform.assembly;
    let (store, ambient) = (&assembly.providers.store, &assembly.providers.ambient);
    let auth = assembly.groups.iter().find(|group| group.name == "auth").unwrap();
    for _ in 0..2 {
        let event = json!({
            "specversion": "1.0", "id": ambient.new_uuid().to_string(), "source": "/functions/auth",
            "type": "coder.auth.mail.queued", "subject": mail["id"], "time": ambient.now().to_string(),
            "organizationid": "platform", "data": {"mailId": mail["id"], "partition": partition},
        });
        auth.functions.consume("send-mail", &event, "test").await;
        platform.settle().await;
        assert_eq!(resets(&platform).await, 1);
        assert_eq!(everywhere(&platform, "outgoing-mail").await, Vec::<Value>::new());
        // As if the process had died before it forgot the mail.
        let id = mail["id"].as_str().unwrap().to_owned();
        let again = Operation::Create { id, body: mail.clone(), expires_at: None };
        store.write("auth", &PartitionKey::single(partition), vec![again]).await.unwrap();
    }
    let token = link_token(&mails(&platform).await, "account.reset-password", ADA);
    for container in ["auth", "notifications"] {
        let page = store.query_across(container, &Query::new(None).limit(1000)).await.unwrap();
        assert!(page.items.iter().all(|one| !one.body.to_string().contains(&token)), "{container}");
    }
}
