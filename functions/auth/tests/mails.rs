//! Mails that cannot leave at once.

use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{ADA, ada, link_token, mails};

/// The events of mails that wait.
async fn queued(platform: &TestPlatform) -> Vec<Value> {
    let store = &platform.platform.assembly.providers.store;
    let query = coder_database::Query::new(coder_database::Filter::of_type("outbox")).limit(1000);
    let page = store.query_across("auth", &query).await.unwrap();
    let all = page.items.into_iter().map(|document| document.body);
    all.filter(|one| one["event"]["type"] == "coder.auth.mail.queued").collect()
}

#[tokio::test]
async fn a_link_is_tried_for_an_hour_though_its_event_is_given_up_earlier() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    platform.settle().await;
    // A directory in its place: no mail can be written.
    let outbox = platform.data_dir().join("mail-outbox.jsonl");
    std::fs::remove_file(&outbox).unwrap();
    std::fs::create_dir(&outbox).unwrap();
    platform.nobody().post("/api/auth/password/forgot", json!({"email": ADA})).await.expect(202);
    for _ in 0..28 {
        platform.advance(SignedDuration::from_mins(1)).await;
    }
    let waiting = queued(&platform).await;
    assert!(waiting.len() == 1 && waiting[0]["dead"] == true, "{waiting:?}");
    platform.advance(SignedDuration::from_mins(2)).await;
    let told_again = queued(&platform).await.iter().filter(|one| one["dead"] != true).count();
    assert_eq!(told_again, 1);
    std::fs::remove_dir(&outbox).unwrap();
    platform.advance(SignedDuration::from_mins(6)).await;
    link_token(&mails(&platform).await, "reset_password", ADA);
    platform.advance(SignedDuration::from_mins(60)).await;
    assert_eq!(mails(&platform).await.iter().filter(|mail| mail["kind"] == "reset_password").count(), 1);
}
