//! Many at once.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::{PLAIN, Subject, create, delete, replace, upsert};
use crate::{Filter, Operation, PartitionKey, Patch, Query, StoreError};

/// Tasks at once.
const TASKS: usize = 64;

/// Runs one write a task, all at once.
async fn together(
    subject: &Subject,
    operation: impl Fn(usize) -> Vec<Operation>,
) -> Vec<Result<(), StoreError>> {
    let mut tasks = JoinSet::new();
    for at in 0..TASKS {
        let (store, operations) = (Arc::clone(&subject.store), operation(at));
        tasks
            .spawn(async move { store.write(PLAIN, &PartitionKey::single("p"), operations).await.map(drop) });
    }
    tasks.join_all().await
}

pub async fn loses_no_increment(subject: &Subject) {
    subject.create("p", "a", json!({ "count": 0 })).await;
    let add = |at: usize| Patch::Increment { field: "count".into(), by: i64::try_from(at).unwrap() };
    let patch = |at| vec![Operation::Patch { id: "a".into(), patches: vec![add(at)], if_match: None }];
    for round in 1..=4_usize {
        assert!(together(subject, patch).await.iter().all(Result::is_ok));
        assert_eq!(subject.read("p", "a").await.unwrap().body["count"], round * TASKS * (TASKS - 1) / 2);
    }
}

pub async fn creates_a_unique_id_once(subject: &Subject) {
    for round in 0..4 {
        let claim = format!("claim:{round}");
        // The claim comes last, so that losers have something to take back.
        let batch = |at| {
            vec![
                create("p", &format!("{round}:{at}"), json!({ "by": at })),
                create("p", &claim, json!({ "by": at })),
            ]
        };
        let outcomes = together(subject, batch).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let lost = Err(StoreError::Conflict { operation: 1 });
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == lost).count(), TASKS - 1);
        let winner = subject.read("p", &claim).await.unwrap().body["by"].clone();
        let documents =
            subject.ids("p", Query::new(Filter::StartsWith("id".into(), format!("{round}:")))).await;
        assert_eq!(documents, [format!("{round}:{winner}")]);
    }
}

pub async fn lets_one_guarded_writer_win(subject: &Subject) {
    let etag = subject.create("p", "a", json!({})).await;
    let outcomes = together(subject, |at| match at % 2 {
        0 => vec![replace("p", "a", json!({ "by": at }), Some(&etag))],
        _ => vec![delete("a", Some(&etag)), upsert("p", "a", json!({ "by": at }))],
    });
    let outcomes = outcomes.await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let stale = Err(StoreError::PreconditionFailed { operation: 0 });
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == stale).count(), TASKS - 1);
}

pub async fn never_shows_half_a_batch(subject: &Subject) {
    let put =
        |value: usize| vec![upsert("p", "a", json!({ "x": value })), upsert("p", "b", json!({ "x": value }))];
    subject.write("p", put(0)).await.unwrap();
    let store = Arc::clone(&subject.store);
    let reader = tokio::spawn(async move {
        for _ in 0..200 {
            let page = store.query(PLAIN, &PartitionKey::single("p"), &Query::new(None)).await.unwrap();
            let values: Vec<_> = page.items.iter().map(|document| document.body["x"].clone()).collect();
            assert_eq!(values.len(), 2);
            assert_eq!(values[0], values[1]);
        }
    });
    assert!(together(subject, put).await.iter().all(Result::is_ok));
    reader.await.unwrap();
}
