//! The nearest documents, against plain arithmetic.

use serde_json::{Value, json};

use super::{ALIKE, PLAIN, Subject, body};
use crate::{Document, Filter, Operation, PartitionKey, Patch, StoreError};

/// Numbers of a vector of the suite; no multiple of anything convenient.
pub const DIMENSIONS: u32 = 8;

type Vector = [f32; DIMENSIONS as usize];

/// A vector that looks random and is the same at every run.
fn vector(seed: u32) -> Vector {
    let mut state = seed.wrapping_mul(0x9E37_79B9).wrapping_add(1);
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f32::from(u16::try_from(state % 2000).unwrap()) - 1000.0
    })
}

fn similarity(a: &Vector, b: &Vector) -> f64 {
    let dot =
        |a: &Vector, b: &Vector| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn put(id: &str, embedding: Value, more: Value) -> Operation {
    let mut body = body("p", id, more);
    body["embedding"] = embedding;
    Operation::Upsert { id: id.into(), body, expires_at: None }
}

async fn write(subject: &Subject, operations: Vec<Operation>) -> Result<(), StoreError> {
    subject.store.write(ALIKE, &PartitionKey::single("p"), operations).await.map(drop)
}

async fn nearest(subject: &Subject, to: &Vector, top: u32, filter: Option<&Filter>) -> Vec<(Document, f32)> {
    subject.store.nearest(ALIKE, &PartitionKey::single("p"), "embedding", to, top, filter).await.unwrap()
}

fn ids(found: &[(Document, f32)]) -> Vec<&str> {
    found.iter().map(|(document, _)| document.id.as_str()).collect()
}

pub async fn finds_the_nearest(subject: &Subject) {
    assert!(nearest(subject, &vector(1), 3, None).await.is_empty());
    let all: Vec<(String, Vector)> = (0..300).map(|seed| (format!("{seed:03}"), vector(seed))).collect();
    for chunk in all.chunks(100) {
        write(subject, chunk.iter().map(|(id, vector)| put(id, json!(vector), json!({}))).collect())
            .await
            .unwrap();
    }
    for seed in 1000..1020 {
        let wanted = vector(seed);
        let found = nearest(subject, &wanted, 10, None).await;
        let mut plain: Vec<(&str, f64)> =
            all.iter().map(|(id, vector)| (id.as_str(), similarity(&wanted, vector))).collect();
        plain.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        assert_eq!(found.len(), 10);
        for ((document, score), (_, best)) in found.iter().zip(plain) {
            assert!((f64::from(*score) - best).abs() < 1e-5, "{} is not {best}", document.id);
            let at: usize = document.id.parse().unwrap();
            assert!((similarity(&wanted, &all[at].1) - f64::from(*score)).abs() < 1e-5);
        }
    }
    let itself = nearest(subject, &vector(7), 1, None).await;
    assert_eq!(ids(&itself), ["007"]);
    assert!((itself[0].1 - 1.0).abs() < 1e-5);
    assert_eq!(nearest(subject, &vector(7), 1000, None).await.len(), 300);
}

pub async fn follows_every_change(subject: &Subject) {
    let [east, west, north] = [0, 1, 2].map(|at| {
        let mut vector = Vector::default();
        vector[at / 2] = if at == 1 { -1.0 } else { 1.0 };
        vector
    });
    write(subject, vec![put("a", json!(east), json!({})), put("b", json!(west), json!({}))]).await.unwrap();
    assert_eq!(ids(&nearest(subject, &east, 1, None).await), ["a"]);
    write(subject, vec![put("a", json!(north), json!({})), put("b", json!(east), json!({}))]).await.unwrap();
    assert_eq!(ids(&nearest(subject, &east, 1, None).await), ["b"]);
    let set = |value| Patch::Set { field: "embedding".into(), value };
    let patch = |id: &str, patch| Operation::Patch { id: id.into(), patches: vec![patch], if_match: None };
    write(subject, vec![patch("b", set(json!(west))), patch("a", set(json!(east)))]).await.unwrap();
    assert_eq!(ids(&nearest(subject, &east, 5, None).await), ["a", "b"]);
    write(subject, vec![patch("a", Patch::Remove { field: "embedding".into() })]).await.unwrap();
    assert_eq!(ids(&nearest(subject, &east, 5, None).await), ["b"]);
    write(subject, vec![put("a", Value::Null, json!({}))]).await.unwrap();
    assert_eq!(ids(&nearest(subject, &east, 5, None).await), ["b"], "null is no vector");
    let failing = vec![put("a", json!(east), json!({})), super::delete("absent", None)];
    assert!(write(subject, failing).await.is_err());
    assert_eq!(ids(&nearest(subject, &east, 5, None).await), ["b"], "a batch that failed leaves no vector");
    write(subject, vec![super::delete("b", None)]).await.unwrap();
    assert!(nearest(subject, &east, 5, None).await.is_empty());
}

pub async fn skips_what_is_over(subject: &Subject) {
    let ends = |id: &str, seconds| {
        let mut body = body("p", id, json!({}));
        body["embedding"] = json!(vector(3));
        let expires_at = Some(super::start() + jiff::SignedDuration::from_secs(seconds));
        Operation::Create { id: id.into(), body, expires_at }
    };
    write(subject, vec![ends("a", 10), ends("b", 99), put("c", json!(vector(4)), json!({}))]).await.unwrap();
    assert_eq!(ids(&nearest(subject, &vector(3), 1, None).await), ["a"]);
    subject.clock.advance(jiff::SignedDuration::from_secs(10));
    // What is over takes no place among the answers.
    assert_eq!(ids(&nearest(subject, &vector(3), 1, None).await), ["b"]);
    assert_eq!(
        ids(&nearest(subject, &vector(3), 2, Some(&Filter::Not(Box::new(Filter::eq("x", 1))))).await),
        ["b", "c"]
    );
}

pub async fn filters_and_breaks_ties_by_id(subject: &Subject) {
    let same = vector(3);
    let batch =
        ["d", "b", "a", "c"].map(|id| put(id, json!(same), json!({ "even": id == "b" || id == "d" })));
    write(subject, batch.to_vec()).await.unwrap();
    let other = PartitionKey::single("q");
    let mut elsewhere = body("q", "0", json!({ "even": true }));
    elsewhere["embedding"] = json!(same);
    let elsewhere = Operation::Create { id: "0".into(), body: elsewhere, expires_at: None };
    subject.store.write(ALIKE, &other, vec![elsewhere]).await.unwrap();
    assert_eq!(ids(&nearest(subject, &same, 3, None).await), ["a", "b", "c"]);
    let even = Filter::eq("even", true);
    assert_eq!(ids(&nearest(subject, &same, 1, Some(&even)).await), ["b"]);
    assert_eq!(ids(&nearest(subject, &same, 9, Some(&even)).await), ["b", "d"]);
    assert_eq!(nearest(subject, &same, 9, Some(&Filter::Or(vec![]))).await, []);
}

pub async fn refuses_what_is_no_vector(subject: &Subject) {
    for wrong in [
        json!([]),
        json!([1, 2, 3]),
        json!(vec![0.5; 9]),
        json!("text"),
        json!({}),
        json!([1, 2, 3, 4, 5, 6, 7, "8"]),
    ] {
        let outcome = write(subject, vec![put("a", wrong.clone(), json!({}))]).await;
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{wrong}: {outcome:?}");
    }
    let key = PartitionKey::single("p");
    let ask = async |container, field, vector: &[f32], top| {
        subject.store.nearest(container, &key, field, vector, top, None).await
    };
    let senseless = [
        ask(ALIKE, "embedding", &[1.0; 7], 1).await,
        ask(ALIKE, "embedding", &[f32::NAN; 8], 1).await,
        ask(ALIKE, "embedding", &[1.0; 8], 0).await,
        ask(ALIKE, "other", &[1.0; 8], 1).await,
        ask(ALIKE, "a'b", &[1.0; 8], 1).await,
        ask(PLAIN, "embedding", &[1.0; 8], 1).await,
        ask("nowhere", "embedding", &[1.0; 8], 1).await,
    ];
    for (at, outcome) in senseless.into_iter().enumerate() {
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{at}: {outcome:?}");
    }
}
