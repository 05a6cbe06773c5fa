//! Filters against their meaning, [`Filter::matches`], over documents made to mislead.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use super::{PLAIN, Subject, create};
use crate::rules::{MAX_CONDITIONS, MAX_LIST};
use crate::{Filter, PartitionKey, Query};

/// Documents in the partition.
const DOCUMENTS: usize = 200;
/// Filters tried.
const FILTERS: u32 = 600;
/// Of these, how many are counted, too.
const COUNTED: u32 = 60;
/// With an index, with one in second place, without, nested, and below something that is often no object.
const FIELDS: [&str; 6] = ["status", "priority", "free", "nested.a", "nested.b", "free.x"];

pub fn scalar() -> BoxedStrategy<Value> {
    let special = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-0.0),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(0.1),
        json!(1e308),
        json!(-1e308),
        json!(5e-324),
        json!(9_007_199_254_740_991_i64),
        json!(9_007_199_254_740_993_i64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("a"),
        json!("A"),
        json!("ab"),
        json!("aa"),
        json!("%"),
        json!("a%"),
        json!("_"),
        json!("'"),
        json!("\""),
        json!("\\"),
        json!("\0"),
        json!("a\0b"),
        json!("a\nb"),
        json!("é"),
        json!("e\u{301}"),
        json!("\u{D7FF}"),
        json!("\u{10000}"),
        json!("\u{1F600}"),
        json!("\u{10FFFF}"),
        json!("null"),
        json!("true"),
        json!("0"),
        json!("1"),
        json!("[1]"),
    ]);
    // Providers may differ on whether U+E000–U+FFFF come before or after what lies beyond.
    let character = any::<char>().prop_map(|c| if ('\u{E000}'..='\u{FFFF}').contains(&c) { 'x' } else { c });
    let text =
        prop::collection::vec(character, 0..4).prop_map(|text| json!(text.into_iter().collect::<String>()));
    let float = any::<f64>().prop_map(|number| if number.is_finite() { json!(number) } else { json!(0) });
    prop_oneof![8 => special, 1 => text, 1 => float, 1 => any::<i64>().prop_map(Value::from)].boxed()
}

fn value() -> BoxedStrategy<Value> {
    let array = prop::collection::vec(scalar(), 0..4).prop_map(Value::from);
    let nested = array.clone().prop_map(|array| json!([array]));
    let object = scalar().prop_map(|value| json!({ "x": value }));
    prop_oneof![8 => scalar(), 2 => array, 1 => nested, 1 => object].boxed()
}

pub fn document() -> impl Strategy<Value = Value> {
    let field = || prop::option::weighted(0.8, value());
    (field(), field(), field(), field(), field()).prop_map(|(status, priority, free, a, b)| {
        let object = |fields: Vec<(&str, Option<Value>)>| {
            let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::Object(present.collect::<Map<_, _>>())
        };
        let nested = object(vec![("a", a), ("b", b)]);
        object(vec![("status", status), ("priority", priority), ("free", free), ("nested", Some(nested))])
    })
}

fn leaf() -> BoxedStrategy<Filter> {
    let field = || prop::sample::select(&FIELDS[..]).prop_map(str::to_owned);
    let with = |make: fn(String, Value) -> Filter| {
        (field(), scalar()).prop_map(move |(path, value)| make(path, value)).boxed()
    };
    let text = || scalar().prop_map(|value| value.as_str().unwrap_or("a").to_owned());
    let list = prop::collection::vec(scalar(), 0..4);
    prop::strategy::Union::new([
        with(Filter::Eq),
        with(Filter::Ne),
        with(Filter::Lt),
        with(Filter::Le),
        with(Filter::Gt),
        with(Filter::Ge),
        with(Filter::ArrayContains),
        (field(), list).prop_map(|(path, list)| Filter::In(path, list)).boxed(),
        (field(), text()).prop_map(|(path, part)| Filter::Contains(path, part)).boxed(),
        (field(), text()).prop_map(|(path, part)| Filter::StartsWith(path, part)).boxed(),
        field().prop_map(Filter::IsDefined).boxed(),
        field().prop_map(Filter::IsNull).boxed(),
    ])
    .boxed()
}

pub fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            several().prop_map(Filter::And),
            several().prop_map(Filter::Or),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

/// The same values at every run: a failure is found by everybody.
pub fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

pub async fn agrees_with_the_meaning(subject: &Subject) {
    let documents = prop::collection::vec(document(), DOCUMENTS).new_tree(&mut runner(1)).unwrap().current();
    let documents: Vec<Value> = documents
        .into_iter()
        .enumerate()
        .map(|(at, more)| super::body("p", &format!("{at:03}"), more))
        .collect();
    for (at, chunk) in documents.chunks(100).enumerate() {
        let batch = chunk
            .iter()
            .enumerate()
            .map(|(within, body)| create("p", &format!("{:03}", at * 100 + within), body.clone()));
        subject.write("p", batch.collect()).await.unwrap();
    }
    // A second tenant with the same documents would double what leaks.
    subject.create("q", "leak", documents[0].as_object().map(|_| json!({ "status": "a" })).unwrap()).await;
    let runtime = tokio::runtime::Handle::current();
    let counted = Cell::new(0);
    tokio::task::block_in_place(|| {
        runner(FILTERS)
            .run(&filter(), |filter| {
                let found = runtime.block_on(subject.ids("p", Query::new(filter.clone()).limit(1000)));
                let wanted = documents.iter().filter(|body| filter.matches(body));
                let wanted: Vec<&str> = wanted.map(|body| body["id"].as_str().unwrap()).collect();
                prop_assert_eq!(&found, &wanted);
                // A few are enough: they are the same conditions.
                if counted.get() < COUNTED {
                    counted.set(counted.get() + 1);
                    let key = PartitionKey::single("p");
                    let count = runtime.block_on(subject.store.count(PLAIN, &key, Some(&filter)));
                    prop_assert_eq!(count, Ok(wanted.len()));
                }
                Ok(())
            })
            .unwrap();
    });
}

pub async fn takes_filters_of_the_largest_size(subject: &Subject) {
    subject.create("p", "a", json!({ "status": 7 })).await;
    let key = PartitionKey::single("p");
    let leaf = |value: usize| Filter::eq("status", value);
    let wide = |count: usize| Filter::Or((1..count).map(leaf).collect());
    let deep = |count: usize| (1..count).fold(leaf(7), |filter, _| Filter::Not(Box::new(filter)));
    let list = |count: usize| Filter::In("status".into(), (0..count).map(Value::from).collect());
    let largest = [wide(MAX_CONDITIONS), deep(MAX_CONDITIONS - 1), list(MAX_LIST)];
    for filter in largest {
        assert_eq!(subject.ids("p", Query::new(filter)).await, ["a"]);
    }
    for filter in [wide(MAX_CONDITIONS + 1), deep(MAX_CONDITIONS + 1), list(MAX_LIST + 1)] {
        assert!(subject.store.query(PLAIN, &key, &Query::new(filter)).await.is_err());
    }
}
