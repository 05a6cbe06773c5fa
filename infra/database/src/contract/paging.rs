//! Pages: nothing left out, nothing twice.

use serde_json::{Value, json};

use super::partitions::layered;
use super::{LAYERED, PLAIN, Subject, create, delete};
use crate::document::field;
use crate::{Direction, Document, Filter, PartitionKey, Query};

/// Every page of a query.
async fn all_pages(
    subject: &Subject,
    container: &str,
    key: Option<&PartitionKey>,
    mut query: Query,
) -> Vec<Document> {
    let mut found = Vec::new();
    loop {
        let page = match key {
            Some(key) => subject.store.query(container, key, &query).await.unwrap(),
            None => subject.store.query_across(container, &query).await.unwrap(),
        };
        assert!(page.items.len() <= query.limit as usize);
        found.extend(page.items);
        assert!(found.len() < 10_000, "the pages have no end");
        match page.next {
            Some(next) => query.continuation = Some(next),
            None => return found,
        }
    }
}

fn ids(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.id.as_str()).collect()
}

pub async fn pages_by_id(subject: &Subject) {
    let names: Vec<String> = (0..25).map(|at| format!("{at:02}")).collect();
    let batch = names.iter().rev().map(|id| create("p", id, json!({}))).collect();
    subject.write("p", batch).await.unwrap();
    let key = PartitionKey::single("p");
    for limit in [1, 7, 24, 25, 26, 1000] {
        let found = all_pages(subject, PLAIN, Some(&key), Query::new(None).limit(limit)).await;
        assert_eq!(ids(&found), names, "{limit} a page");
    }
    let empty = all_pages(subject, PLAIN, Some(&PartitionKey::single("q")), Query::new(None)).await;
    assert!(empty.is_empty());
}

/// Documents with many equal values, and some without.
async fn fill(subject: &Subject) -> Vec<Value> {
    let mut bodies = Vec::new();
    for at in 0..97_u32 {
        let id = format!("{:03}", at * 61 % 97);
        let mut more = json!({ "status": (["open", "done", "\u{1F600}", ""])[at as usize % 4], "priority": at % 5, "free": f64::from(at % 3) - 1.5 });
        if at % 10 == 9 {
            more.as_object_mut().unwrap().remove("priority");
        }
        bodies.push(super::body("p", &id, more.clone()));
        subject.create("p", &id, more).await;
        subject.create("q", &id, json!({ "status": "another tenant", "priority": 1, "free": 1 })).await;
    }
    bodies
}

/// What a query must give, by plain sorting.
fn sorted<'a>(bodies: &'a [Value], query: &Query) -> Vec<&'a str> {
    let has = |body: &&Value| query.order.iter().all(|(path, _)| field(body, path).is_some());
    let passes = |body: &&Value| query.filter.as_ref().is_none_or(|filter| filter.matches(body));
    let mut wanted: Vec<&Value> = bodies.iter().filter(has).filter(passes).collect();
    let key = |body: &Value, path: &str| match field(body, path) {
        Some(Value::String(text)) => (0.0, text.clone()),
        Some(number) => (number.as_f64().unwrap(), String::new()),
        None => (f64::NAN, String::new()),
    };
    let last = query.order.last().map_or(Direction::Ascending, |(_, direction)| *direction);
    let id = ("id".to_owned(), last);
    wanted.sort_by(|a, b| {
        let by = |(path, direction): &(String, Direction)| {
            let (a, b) = (key(a, path), key(b, path));
            let ordering = a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1));
            if *direction == Direction::Descending { ordering.reverse() } else { ordering }
        };
        query.order.iter().chain([&id]).map(by).find(|ordering| ordering.is_ne()).unwrap()
    });
    wanted.into_iter().map(|body| body["id"].as_str().unwrap()).collect()
}

pub async fn pages_by_two_fields_in_every_direction(subject: &Subject) {
    let bodies = fill(subject).await;
    let key = PartitionKey::single("p");
    let directions = [Direction::Ascending, Direction::Descending];
    let filters =
        [None, Some(Filter::Ne("status".into(), json!("done"))), Some(Filter::eq("status", "open"))];
    for (first, second) in
        [("status", Some("priority")), ("priority", Some("free")), ("free", None), ("priority", None)]
    {
        for (one, other) in
            directions.iter().flat_map(|one| directions.iter().map(move |other| (*one, *other)))
        {
            for filter in &filters {
                let mut query = Query::new(filter.clone()).limit(7).order_by(first, one);
                if let Some(second) = second {
                    query = query.order_by(second, other);
                }
                let found = all_pages(subject, PLAIN, Some(&key), query.clone()).await;
                assert_eq!(ids(&found), sorted(&bodies, &query), "{query:?}");
            }
        }
    }
}

pub async fn pages_while_documents_come_and_go(subject: &Subject) {
    let bodies = fill(subject).await;
    let key = PartitionKey::single("p");
    let mut query = Query::new(None)
        .limit(5)
        .order_by("status", Direction::Descending)
        .order_by("free", Direction::Descending);
    let wanted = sorted(&bodies, &query);
    let mut found = Vec::new();
    loop {
        let page = subject.store.query(PLAIN, &key, &query).await.unwrap();
        let ids: Vec<String> = page.items.into_iter().map(|document| document.id).collect();
        // What was seen goes, and something comes before it: neither may move the next page.
        let last = ids.last().unwrap();
        let before = json!({ "status": "\u{10FFFF}", "free": 9, "priority": 9 });
        subject
            .write("p", vec![delete(last, None), create("p", &format!("new{}", found.len()), before)])
            .await
            .unwrap();
        found.extend(ids);
        match page.next {
            Some(next) => query.continuation = Some(next),
            None => break,
        }
    }
    assert_eq!(found, wanted);
}

pub async fn pages_below_a_prefix_and_across(subject: &Subject) {
    // The same ids in several partitions: the id alone does not make the order total.
    for organization in ["a", "b"] {
        for day in ["1", "2", "3"] {
            for id in ["x", "xx", "y", "z"] {
                let (key, operation) = layered([organization, "bucket", day], id);
                subject.store.write(LAYERED, &key, vec![operation]).await.unwrap();
            }
        }
    }
    let place = |document: &Document| {
        (document.body["organizationId"].to_string(), document.body["day"].to_string(), document.id.clone())
    };
    let orders =
        [vec![], vec![("n".to_owned(), Direction::Descending)], vec![("n".to_owned(), Direction::Ascending)]];
    for (order, limit) in orders.iter().flat_map(|order| [1, 2, 5].map(|limit| (order, limit))) {
        let query = Query { order: order.clone(), ..Query::new(None).limit(limit) };
        for (key, count) in [
            (Some(PartitionKey(vec!["a".into(), "bucket".into()])), 12),
            (Some(PartitionKey(vec!["a".into()])), 12),
            (None, 24),
        ] {
            let found = all_pages(subject, LAYERED, key.as_ref(), query.clone()).await;
            let mut places: Vec<_> = found.iter().map(place).collect();
            places.sort();
            places.dedup();
            assert_eq!((places.len(), found.len()), (count, count), "{key:?} {query:?}");
            if let Some((_, direction)) = order.first() {
                let mut numbers: Vec<i64> =
                    found.iter().map(|found| found.body["n"].as_i64().unwrap()).collect();
                if *direction == Direction::Descending {
                    numbers.reverse();
                }
                assert!(numbers.is_sorted(), "{query:?}");
            }
        }
    }
}
