//! Changes of single fields.

use serde_json::{Value, json};

use super::Subject;
use crate::{Operation, PartitionKey, Patch, StoreError};

fn set(field: &str, value: Value) -> Patch {
    Patch::Set { field: field.into(), value }
}

fn patch(id: &str, patches: Vec<Patch>, if_match: Option<&str>) -> Operation {
    Operation::Patch { id: id.into(), patches, if_match: if_match.map(str::to_owned) }
}

pub async fn sets_removes_and_adds(subject: &Subject) {
    subject.create("p", "a", json!({ "x": { "y": 1 }, "old": 1, "count": 40 })).await;
    let patches = vec![
        set("x.z", json!([2])),
        Patch::Remove { field: "old".into() },
        Patch::Remove { field: "never".into() },
        Patch::Increment { field: "count".into(), by: 2 },
        Patch::Increment { field: "x.fresh".into(), by: -3 },
    ];
    let written = subject.write("p", vec![patch("a", patches, None)]).await.unwrap();
    let wanted =
        json!({ "partitionKey": "p", "id": "a", "x": { "y": 1, "z": [2], "fresh": -3 }, "count": 42 });
    assert_eq!(written[0].body.as_ref(), Some(&wanted));
    let found = subject.read("p", "a").await.unwrap();
    assert_eq!((found.body, Some(found.etag)), (wanted, written[0].etag.clone()));
}

pub async fn refuses_what_cannot_be_applied(subject: &Subject) {
    subject.create("p", "a", json!({ "text": "t" })).await;
    let before = subject.read("p", "a").await;
    let absent = subject.one("p", patch("b", vec![set("x", json!(1))], None)).await;
    assert_eq!(absent, Err(StoreError::NotFound { operation: 0 }));
    let senseless = [
        vec![],
        vec![set("x", json!(1)); crate::rules::MAX_PATCHES + 1],
        vec![set("id", json!("b"))],
        vec![set("partitionKey", json!("q"))],
        vec![Patch::Remove { field: "partitionKey".into() }],
        vec![set("no-path", json!(1))],
        vec![set("x", json!(1)), set("absent.y", json!(1))],
        vec![set("x", json!(1)), Patch::Increment { field: "text".into(), by: 1 }],
    ];
    for patches in senseless {
        let outcome = subject.one("p", patch("a", patches.clone(), None)).await;
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{patches:?}: {outcome:?}");
    }
    assert_eq!(subject.read("p", "a").await, before, "nothing of a refused patch stays");
    let long = json!("x".repeat(crate::rules::MAX_BYTES - 10));
    let outcome = subject.one("p", patch("a", vec![set("x", long)], None)).await;
    assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{outcome:?}");
}

pub async fn guards_by_tag(subject: &Subject) {
    let first = subject.create("p", "a", json!({})).await;
    subject.one("p", patch("a", vec![set("x", json!(1))], Some(&first))).await.unwrap();
    let stale = subject.one("p", patch("a", vec![set("x", json!(2))], Some(&first))).await;
    assert_eq!(stale, Err(StoreError::PreconditionFailed { operation: 0 }));
    assert_eq!(subject.read("p", "a").await.unwrap().body["x"], 1);
}

pub async fn keeps_the_end_of_the_document(subject: &Subject) {
    let expires_at = Some(super::start() + jiff::SignedDuration::from_secs(60));
    let body = super::body("p", "a", json!({}));
    subject.one("p", Operation::Create { id: "a".into(), body, expires_at }).await.unwrap();
    subject.one("p", patch("a", vec![set("x", json!(1))], None)).await.unwrap();
    subject.clock.advance(jiff::SignedDuration::from_secs(59));
    assert!(subject.read("p", "a").await.is_some());
    subject.clock.advance(jiff::SignedDuration::from_secs(2));
    assert!(subject.store.read(super::PLAIN, &PartitionKey::single("p"), "a").await.unwrap().is_none());
    let gone = subject.one("p", patch("a", vec![set("x", json!(2))], None)).await;
    assert_eq!(gone, Err(StoreError::NotFound { operation: 0 }));
}
