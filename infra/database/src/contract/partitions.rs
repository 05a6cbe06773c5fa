//! Partitions: one tenant never sees another's documents.

use serde_json::{Value, json};

use super::{LAYERED, PLAIN, Subject, create, delete, upsert};
use crate::{Filter, Operation, PartitionKey, Query};

pub async fn keeps_tenants_apart(subject: &Subject) {
    for pk in ["org:1", "org:2", "org:", "ORG:1", "org:1\0", "org:1 "] {
        subject.create(pk, "same", json!({ "of": pk })).await;
    }
    subject.one("org:2", upsert("org:2", "same", json!({ "of": "changed" }))).await.unwrap();
    subject.one("org:", delete("same", None)).await.unwrap();
    for (pk, of) in
        [("org:1", Some("org:1")), ("org:2", Some("changed")), ("org:", None), ("ORG:1", Some("ORG:1"))]
    {
        let of = of.map(Value::from);
        assert_eq!(subject.read(pk, "same").await.map(|found| found.body["of"].clone()), of, "{pk}");
        let all = subject
            .store
            .query(
                PLAIN,
                &PartitionKey::single(pk),
                &Query::new(Filter::Or(vec![
                    Filter::IsDefined("of".into()),
                    Filter::Not(Box::new(Filter::IsDefined("of".into()))),
                ])),
            )
            .await
            .unwrap();
        assert_eq!(all.items.len(), usize::from(of.is_some()), "a filter never reaches out of {pk}");
    }
}

pub(super) fn layered(levels: [&str; 3], id: &str) -> (PartitionKey, Operation) {
    let [organization, bucket, day] = levels;
    let body =
        json!({ "id": id, "organizationId": organization, "bucket": bucket, "day": day, "n": id.len() });
    let key = PartitionKey(levels.map(str::to_owned).to_vec());
    (key, create_body(id, body))
}

fn create_body(id: &str, body: Value) -> Operation {
    Operation::Create { id: id.into(), body, expires_at: None }
}

pub async fn reads_below_a_prefix(subject: &Subject) {
    let places = [
        ["a", "b", "c"],
        ["a", "b", "d"],
        ["a", "b,", "c"],
        ["a", "b\"", "c"],
        ["a\"", "b", "c"],
        ["a", "", ""],
        ["a\",\"b", "c", ""],
        ["", "a", "b"],
        ["a\u{1F600}", "b", "c"],
    ];
    for (at, place) in places.into_iter().enumerate() {
        let (key, operation) = layered(place, &format!("{at}"));
        subject.store.write(LAYERED, &key, vec![operation]).await.unwrap();
    }
    for place in places {
        for levels in 1..=3 {
            let key = PartitionKey(place[..levels].iter().map(ToString::to_string).collect());
            let page = subject.store.query(LAYERED, &key, &Query::new(None)).await.unwrap();
            let found: Vec<String> = page.items.into_iter().map(|document| document.id).collect();
            let inside = |at: &usize| places[*at][..levels] == place[..levels];
            let wanted: Vec<String> = (0..places.len()).filter(inside).map(|at| at.to_string()).collect();
            assert_eq!(found, wanted, "{key:?}");
            assert_eq!(subject.store.count(LAYERED, &key, None).await, Ok(wanted.len()), "{key:?}");
        }
    }
}

pub async fn reads_across_for_jobs(subject: &Subject) {
    for pk in ["x", "y", "z"] {
        subject
            .write(pk, vec![create(pk, "a", json!({ "status": "s" })), create(pk, "b", json!({}))])
            .await
            .unwrap();
    }
    let query = Query::new(Filter::eq("status", "s"));
    let page = subject.store.query_across(PLAIN, &query).await.unwrap();
    let mut places: Vec<String> =
        page.items.iter().map(|document| document.body["partitionKey"].to_string()).collect();
    places.sort();
    assert_eq!(places, ["\"x\"", "\"y\"", "\"z\""]);
}
