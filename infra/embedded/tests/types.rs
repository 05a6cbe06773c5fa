//! Finding documents by their type, with those that the index over types leaves out.

use coder_core::Ambient;
use coder_database::{Container, DocumentStore, Filter, Operation, PartitionKey, Query};
use coder_embedded::{Options, SqliteStore};
use serde_json::{Value, json};

#[tokio::test]
async fn every_type_and_its_opposite_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path(), &Options::default(), Ambient::system()).unwrap();
    store.prepare(&[Container::new("c")]).await.unwrap();
    let types = [json!("note"), json!("audit"), json!("audits"), json!(null), json!(1), Value::Null];
    for (at, kind) in types.into_iter().enumerate() {
        let (id, partition) = (format!("{at}"), format!("p{}", at % 2));
        let mut body = json!({ "id": id, "partitionKey": partition, "type": kind });
        if at == 5 {
            body.as_object_mut().unwrap().remove("type");
        }
        let create = Operation::Create { id, body, expires_at: None };
        store.write("c", &PartitionKey::single(partition), vec![create]).await.unwrap();
    }
    let all: Vec<usize> = (0..6).collect();
    for (kind, wanted) in [(json!("note"), 0), (json!("audit"), 1), (json!("audits"), 2), (json!(1), 4)] {
        let is = Filter::eq("type", kind);
        let rest: Vec<usize> = all.iter().copied().filter(|at| *at != wanted).collect();
        let not = Filter::Not(Box::new(is.clone()));
        for (filter, wanted) in [(is, vec![wanted]), (not, rest)] {
            let across = store.query_across("c", &Query::new(filter.clone())).await.unwrap().items;
            let mut within = Vec::new();
            for partition in ["p0", "p1"] {
                let query = Query::new(filter.clone());
                let page = store.query("c", &PartitionKey::single(partition), &query).await.unwrap();
                within.extend(page.items);
            }
            for found in [across, within] {
                let mut found: Vec<usize> =
                    found.iter().map(|document| document.id.parse().unwrap()).collect();
                found.sort_unstable();
                assert_eq!(found, wanted, "{filter:?}");
            }
        }
    }
}
