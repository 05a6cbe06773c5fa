//! What every store refuses.

use serde_json::json;

use super::{LAYERED, PLAIN, Subject, body, create, delete};
use crate::rules::{MAX_BYTES, MAX_OPERATIONS};
use crate::{Direction, Filter, Operation, PartitionKey, Query, StoreError};

pub async fn refuses_ids_that_fit_no_address(subject: &Subject) {
    for id in ["", "a/b", "a\\b", "a?b", "a#b", &"x".repeat(256)] {
        let outcome = subject.one("p", create("p", id, json!({}))).await;
        assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{id}: {outcome:?}");
    }
    for id in ["x".repeat(255).as_str(), "org:1", "é'\"%", "a b"] {
        subject.create("p", id, json!({})).await;
        assert_eq!(subject.read("p", id).await.unwrap().id, id);
    }
}

pub async fn refuses_documents_and_batches_over_the_size(subject: &Subject) {
    let around = body("p", "a", json!({ "x": "" })).to_string().len();
    let fits = json!({ "x": "x".repeat(MAX_BYTES - around) });
    let over = json!({ "x": "x".repeat(MAX_BYTES - around + 1) });
    subject.create("p", "a", fits.clone()).await;
    let outcome = subject.one("p", create("p", "b", over)).await;
    assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{outcome:?}");
    let outcome = subject.write("p", vec![create("p", "c", fits), create("p", "d", json!({}))]).await;
    assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{outcome:?}");
    let many = |count: usize| (0..count).map(|at| create("p", &format!("m{at}"), json!({}))).collect();
    let outcome = subject.write("p", many(MAX_OPERATIONS + 1)).await;
    assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{outcome:?}");
    assert_eq!(subject.write("p", many(MAX_OPERATIONS)).await.unwrap().len(), MAX_OPERATIONS);
    assert_eq!(subject.ids("p", Query::new(None).limit(1000)).await.len(), MAX_OPERATIONS + 1);
}

pub async fn refuses_misplaced_documents(subject: &Subject) {
    let bodies = [
        json!({ "partitionKey": "q", "id": "a" }),
        json!({ "partitionKey": "p", "id": "b" }),
        json!({ "partitionKey": "p" }),
        json!({ "id": "a" }),
        json!({ "partitionKey": 1, "id": "a" }),
        json!([]),
        json!(null),
    ];
    for body in bodies {
        let operation = Operation::Upsert { id: "a".into(), body: body.clone(), expires_at: None };
        let outcome = subject.one("p", operation).await;
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{body}: {outcome:?}");
    }
}

pub async fn refuses_senseless_requests(subject: &Subject) {
    let store = &subject.store;
    let key = PartitionKey::single("p");
    let short = PartitionKey(vec!["a".into(), "b".into()]);
    let long = PartitionKey(vec!["p".into(), "q".into()]);
    let is_invalid = |outcome: Result<(), StoreError>| matches!(outcome, Err(StoreError::Invalid { .. }));
    assert!(is_invalid(store.read("nowhere", &key, "a").await.map(drop)));
    assert!(is_invalid(store.write("nowhere", &key, vec![delete("a", None)]).await.map(drop)));
    assert!(is_invalid(store.query("nowhere", &key, &Query::new(None)).await.map(drop)));
    assert!(is_invalid(store.query_across("nowhere", &Query::new(None)).await.map(drop)));
    assert!(is_invalid(store.write(PLAIN, &key, vec![]).await.map(drop)));
    assert!(is_invalid(store.read(LAYERED, &short, "a").await.map(drop)));
    assert!(is_invalid(store.write(LAYERED, &short, vec![delete("a", None)]).await.map(drop)));
    for key in [PartitionKey(vec![]), long] {
        assert!(is_invalid(store.query(PLAIN, &key, &Query::new(None)).await.map(drop)), "{key:?}");
    }
    let order = |field: &str| Query::new(None).order_by(field, Direction::Ascending);
    let senseless = [
        Query::new(None).limit(0),
        Query::new(None).limit(1001),
        order("a").order_by("b", Direction::Ascending).order_by("c", Direction::Ascending),
        order("a'); DROP TABLE x; --"),
        order(""),
        Query::new(Filter::eq("a b", 1)),
        Query::new(Filter::Not(Box::new(Filter::IsNull("a]".into())))),
        Query::new(Filter::And(vec![Filter::ArrayContains("'".into(), json!(1))])),
    ];
    for query in senseless {
        assert!(is_invalid(store.query(PLAIN, &key, &query).await.map(drop)), "{query:?}");
        assert!(is_invalid(store.query_across(PLAIN, &query).await.map(drop)), "{query:?}");
    }
}

pub async fn refuses_foreign_continuations(subject: &Subject) {
    for id in ["a", "b", "c"] {
        subject.create("p", id, json!({ "status": "s" })).await;
        subject.create("q", id, json!({ "status": "s" })).await;
    }
    let (p, q) = (PartitionKey::single("p"), PartitionKey::single("q"));
    let query = Query::new(None).limit(1);
    let next = subject.store.query(PLAIN, &p, &query).await.unwrap().next;
    assert!(next.is_some());
    let go_on = |query: &Query| query.clone().continue_from(next.clone());
    let filtered = Query { filter: Some(Filter::eq("status", "s")), ..go_on(&query) };
    let ordered = go_on(&query).order_by("status", Direction::Ascending);
    for query in [&filtered, &ordered] {
        let outcome = subject.store.query(PLAIN, &p, query).await;
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{query:?}: {outcome:?}");
    }
    let outcome = subject.store.query(PLAIN, &q, &go_on(&query)).await;
    assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "another partition: {outcome:?}");
    let outcome = subject.store.query_across(PLAIN, &go_on(&query)).await;
    assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "across: {outcome:?}");
    for garbled in ["", "x", "null", "[]", &next.clone().unwrap()[1..]] {
        let outcome =
            subject.store.query(PLAIN, &p, &query.clone().continue_from(Some(garbled.into()))).await;
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{garbled}: {outcome:?}");
    }
    // Another page size is the same query.
    let rest = subject.ids("p", go_on(&query).limit(10)).await;
    assert_eq!(rest, ["b", "c"]);
}
