//! Documents that go by themselves. Times are whole seconds: the cloud knows no finer ones.

use jiff::SignedDuration;
use serde_json::json;

use super::{PLAIN, Subject, body, create, delete, replace, start, upsert};
use crate::{Direction, Filter, Operation, PartitionKey, Query, StoreError};

fn ending(id: &str, seconds: i64) -> Operation {
    let expires_at = Some(start() + SignedDuration::from_secs(seconds));
    Operation::Upsert { id: id.into(), body: body("p", id, json!({ "status": "s" })), expires_at }
}

pub async fn hides_what_is_over(subject: &Subject) {
    subject
        .write("p", vec![ending("a", 10), ending("b", 20), create("p", "c", json!({ "status": "s" }))])
        .await
        .unwrap();
    for (advance, visible) in
        [(9, vec!["a", "b", "c"]), (1, vec!["b", "c"]), (10, vec!["c"]), (9999, vec!["c"])]
    {
        subject.clock.advance(SignedDuration::from_secs(advance));
        assert_eq!(subject.ids("p", Query::new(None)).await, visible);
        let ordered = Query::new(None).order_by("status", Direction::Ascending);
        assert_eq!(subject.ids("p", ordered).await, visible);
        let across = subject.store.query_across(PLAIN, &Query::new(None)).await.unwrap();
        assert_eq!(across.items.len(), visible.len());
        let filter = Filter::eq("status", "s");
        let count = subject.store.count(PLAIN, &PartitionKey::single("p"), Some(&filter)).await;
        assert_eq!(count, Ok(visible.len()));
        for id in ["a", "b", "c"] {
            assert_eq!(subject.read("p", id).await.is_some(), visible.contains(&id), "{id}");
        }
    }
    let gone = Err(StoreError::NotFound { operation: 0 });
    assert_eq!(subject.one("p", replace("p", "a", json!({}), None)).await, gone);
    assert_eq!(subject.one("p", delete("b", None)).await, gone);
}

pub async fn lets_an_expired_id_be_created_again(subject: &Subject) {
    subject.one("p", ending("a", 10)).await.unwrap();
    let taken = subject.one("p", create("p", "a", json!({}))).await;
    assert_eq!(taken, Err(StoreError::Conflict { operation: 0 }));
    subject.clock.advance(SignedDuration::from_secs(11));
    subject.create("p", "a", json!({ "second": true })).await;
    assert_eq!(subject.read("p", "a").await.unwrap().body, body("p", "a", json!({ "second": true })));
    subject.clock.advance(SignedDuration::from_secs(9999));
    assert!(subject.read("p", "a").await.is_some(), "the first document's end is gone with it");
}

pub async fn keeps_or_moves_the_end(subject: &Subject) {
    subject
        .write("p", vec![ending("longer", 10), ending("forever", 10), ending("sooner", 10)])
        .await
        .unwrap();
    let expires_at = Some(start() + SignedDuration::from_secs(20));
    let longer = Operation::Replace {
        id: "longer".into(),
        body: body("p", "longer", json!({})),
        expires_at,
        if_match: None,
    };
    subject.write("p", vec![longer, upsert("p", "forever", json!({})), ending("sooner", 5)]).await.unwrap();
    subject.clock.advance(SignedDuration::from_secs(6));
    assert_eq!(subject.ids("p", Query::new(None)).await, ["forever", "longer"]);
    subject.clock.advance(SignedDuration::from_secs(9));
    assert_eq!(subject.ids("p", Query::new(None)).await, ["forever", "longer"]);
    subject.clock.advance(SignedDuration::from_secs(6));
    assert_eq!(subject.ids("p", Query::new(None)).await, ["forever"]);
}
