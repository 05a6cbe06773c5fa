//! Point operations.

use serde_json::json;

use super::{Subject, body, create, delete, replace, upsert};
use crate::StoreError;

pub async fn creates_then_reads(subject: &Subject) {
    assert_eq!(subject.read("p", "a").await, None);
    let etag = subject.create("p", "a", json!({ "x": [1, { "y": null }] })).await;
    let found = subject.read("p", "a").await.unwrap();
    assert_eq!((found.id.as_str(), &found.etag), ("a", &etag));
    assert_eq!(found.body, body("p", "a", json!({ "x": [1, { "y": null }] })));
    subject.store.ping().await.unwrap();
}

pub async fn refuses_a_taken_id(subject: &Subject) {
    let etag = subject.create("p", "a", json!({ "x": 1 })).await;
    let outcome = subject.one("p", create("p", "a", json!({ "x": 2 }))).await;
    assert_eq!(outcome, Err(StoreError::Conflict { operation: 0 }));
    let found = subject.read("p", "a").await.unwrap();
    assert_eq!((found.etag, &found.body["x"]), (etag, &json!(1)));
}

pub async fn replaces_what_is_there(subject: &Subject) {
    let absent = subject.one("p", replace("p", "a", json!({}), None)).await;
    assert_eq!(absent, Err(StoreError::NotFound { operation: 0 }));
    subject.create("p", "a", json!({ "x": 1, "y": 1 })).await;
    let etag = subject.one("p", replace("p", "a", json!({ "x": 2 }), None)).await.unwrap();
    let found = subject.read("p", "a").await.unwrap();
    assert_eq!(found.body, body("p", "a", json!({ "x": 2 })), "the whole document is replaced");
    assert_eq!(Some(found.etag), etag);
}

pub async fn guards_replacement_by_tag(subject: &Subject) {
    let absent = subject.one("p", replace("p", "a", json!({}), Some("0000000000000000"))).await;
    assert_eq!(absent, Err(StoreError::NotFound { operation: 0 }));
    let first = subject.create("p", "a", json!({})).await;
    let second = subject.one("p", replace("p", "a", json!({ "x": 1 }), Some(&first))).await.unwrap();
    let stale = subject.one("p", replace("p", "a", json!({ "x": 2 }), Some(&first))).await;
    assert_eq!(stale, Err(StoreError::PreconditionFailed { operation: 0 }));
    let found = subject.read("p", "a").await.unwrap();
    assert_eq!((Some(found.etag), &found.body["x"]), (second, &json!(1)));
}

pub async fn upserts_either_way(subject: &Subject) {
    let first = subject.one("p", upsert("p", "a", json!({ "x": 1 }))).await.unwrap();
    let second = subject.one("p", upsert("p", "a", json!({ "x": 2 }))).await.unwrap();
    assert_ne!(first, second);
    let found = subject.read("p", "a").await.unwrap();
    assert_eq!((Some(found.etag), &found.body["x"]), (second, &json!(2)));
}

pub async fn deletes_once(subject: &Subject) {
    subject.create("p", "a", json!({})).await;
    assert_eq!(subject.one("p", delete("a", None)).await, Ok(None));
    assert_eq!(subject.read("p", "a").await, None);
    assert_eq!(subject.one("p", delete("a", None)).await, Err(StoreError::NotFound { operation: 0 }));
    subject.create("p", "a", json!({ "again": true })).await;
}

pub async fn guards_deletion_by_tag(subject: &Subject) {
    let first = subject.create("p", "a", json!({})).await;
    let second = subject.one("p", upsert("p", "a", json!({}))).await.unwrap();
    let stale = subject.one("p", delete("a", Some(&first))).await;
    assert_eq!(stale, Err(StoreError::PreconditionFailed { operation: 0 }));
    assert!(subject.read("p", "a").await.is_some());
    assert_eq!(subject.one("p", delete("a", second.as_deref())).await, Ok(None));
    let gone = subject.one("p", delete("a", second.as_deref())).await;
    assert_eq!(gone, Err(StoreError::NotFound { operation: 0 }));
}

pub async fn gives_every_write_its_own_tag(subject: &Subject) {
    let mut tags = vec![subject.create("p", "a", json!({})).await];
    for _ in 0..10 {
        // The same content is a write all the same.
        tags.push(subject.one("p", replace("p", "a", json!({}), None)).await.unwrap().unwrap());
    }
    tags.push(subject.create("p", "b", json!({})).await);
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 12);
}

pub async fn keeps_values_to_the_last_bit(subject: &Subject) {
    let values = json!({
        "numbers": [0.1, 1e-7, 5e-324, 1.797_693_134_862_315_7e308, 0.1 + 0.2, -9_007_199_254_740_991_i64, 1e21],
        "texts": ["", "\0", "a\0b", "\u{FFFF}", "\u{1F600}", "'\"\\%_/", "line\nbreak", "e\u{301}", "é", "\u{2028}"],
        "others": [true, false, null, {}, [], [[]], { "": 1, "a.b": 2, "$": 3, "ключ": 4, "'\"": 5 }],
    });
    subject.create("p", "a", values.clone()).await;
    assert_eq!(subject.read("p", "a").await.unwrap().body, body("p", "a", values));
}
