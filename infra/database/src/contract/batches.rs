//! Several operations as one.

use serde_json::json;

use super::{Subject, create, delete, replace, upsert};
use crate::{Operation, Patch, Query, StoreError};

pub async fn applies_all_in_order(subject: &Subject) {
    let old = subject.create("p", "old", json!({})).await;
    let add = Patch::Increment { field: "x".into(), by: 1 };
    let written = subject
        .write(
            "p",
            vec![
                create("p", "new", json!({ "x": 1 })),
                delete("old", Some(&old)),
                // The same document again: later operations see what earlier ones did.
                Operation::Patch { id: "new".into(), patches: vec![add], if_match: None },
                upsert("p", "other", json!({})),
            ],
        )
        .await
        .unwrap();
    let etags: Vec<bool> = written.iter().map(|written| written.etag.is_some()).collect();
    assert_eq!(etags, [true, false, true, true]);
    assert_eq!(written[2].body.as_ref().unwrap()["x"], 2);
    assert_eq!(subject.ids("p", Query::new(None)).await, ["new", "other"]);
    assert_eq!(subject.read("p", "new").await.unwrap().etag, written[2].etag.clone().unwrap());
}

pub async fn applies_none_if_one_fails(subject: &Subject) {
    let etag = subject.create("p", "kept", json!({ "x": 1 })).await;
    let failing = [
        create("p", "kept", json!({})),
        replace("p", "absent", json!({}), None),
        replace("p", "kept", json!({}), Some("0000000000000000")),
        delete("absent", None),
        Operation::Patch {
            id: "kept".into(),
            patches: vec![Patch::Increment { field: "id2.x".into(), by: 1 }],
            if_match: None,
        },
    ];
    for last in failing {
        let batch = vec![
            create("p", "new", json!({})),
            upsert("p", "kept", json!({ "x": 2 })),
            delete("kept", None),
            upsert("p", "kept", json!({ "x": 3 })),
            last.clone(),
        ];
        assert!(subject.write("p", batch).await.is_err(), "{last:?}");
        let found = subject.read("p", "kept").await.unwrap();
        assert_eq!((found.etag, &found.body["x"]), (etag.clone(), &json!(1)), "{last:?}");
        assert_eq!(subject.ids("p", Query::new(None)).await, ["kept"], "{last:?}");
    }
}

pub async fn names_the_operation_that_failed(subject: &Subject) {
    subject.create("p", "a", json!({})).await;
    let after = |operation| vec![upsert("p", "b", json!({})), upsert("p", "c", json!({})), operation];
    let outcome = subject.write("p", after(create("p", "a", json!({})))).await;
    assert_eq!(outcome, Err(StoreError::Conflict { operation: 2 }));
    let outcome = subject.write("p", after(delete("z", None))).await;
    assert_eq!(outcome, Err(StoreError::NotFound { operation: 2 }));
    let outcome = subject.write("p", after(delete("a", Some("0000000000000000")))).await;
    assert_eq!(outcome, Err(StoreError::PreconditionFailed { operation: 2 }));
    let twice = vec![create("p", "d", json!({})), create("p", "d", json!({}))];
    assert_eq!(subject.write("p", twice).await, Err(StoreError::Conflict { operation: 1 }));
}
