//! Random operations against the simplest store that could be right: a map.

use std::collections::BTreeMap;

use coder_core::{Clock, Timestamp};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::{Subject, body};
use crate::{Operation, Patch, Query, StoreError};

/// Batches in one run.
const BATCHES: usize = 800;

/// An operation whose tag is chosen when it runs.
#[derive(Debug, Clone)]
struct Step {
    kind: u8,
    id: &'static str,
    value: i64,
    lives_seconds: Option<i64>,
    tag: Tag,
}

#[derive(Debug, Clone, Copy)]
enum Tag {
    None,
    Current,
    Wrong,
}

#[derive(Clone)]
struct Stored {
    body: Value,
    expires_at: Option<Timestamp>,
    etag: String,
}

type Model = BTreeMap<&'static str, Stored>;

fn step() -> impl Strategy<Value = Step> {
    let id = prop::sample::select(vec!["a", "b", "c"]);
    let tag = prop::sample::select(vec![Tag::None, Tag::None, Tag::Current, Tag::Wrong]);
    let lives = prop::option::weighted(0.3, 0..20_i64);
    (0..5_u8, id, 0..100_i64, lives, tag).prop_map(|(kind, id, value, lives_seconds, tag)| Step {
        kind,
        id,
        value,
        lives_seconds,
        tag,
    })
}

fn operation(step: &Step, model: &Model, now: Timestamp) -> Operation {
    let id = step.id.to_owned();
    let body = body("p", step.id, json!({ "x": step.value }));
    let expires_at = step.lives_seconds.map(|seconds| now + SignedDuration::from_secs(seconds));
    let if_match = match step.tag {
        Tag::None => None,
        // Before the batch; a second write in one batch makes it wrong, for the model as well.
        Tag::Current => Some(model.get(step.id).map_or_else(|| "none".into(), |stored| stored.etag.clone())),
        Tag::Wrong => Some("0000000000000000".into()),
    };
    match step.kind {
        0 => Operation::Create { id, body, expires_at },
        1 => Operation::Upsert { id, body, expires_at },
        2 => Operation::Replace { id, body, expires_at, if_match },
        3 => Operation::Delete { id, if_match },
        _ => Operation::Patch {
            id,
            patches: vec![Patch::Increment { field: "x".into(), by: step.value }],
            if_match,
        },
    }
}

/// What should come of an operation; changes the model if it goes through.
fn apply(
    model: &mut Model,
    step: &Step,
    operation: &Operation,
    at: usize,
    now: Timestamp,
) -> Result<(), StoreError> {
    let there = model.get(step.id).filter(|stored| stored.expires_at.is_none_or(|end| end > now));
    match operation {
        Operation::Create { .. } if there.is_some() => return Err(StoreError::Conflict { operation: at }),
        Operation::Create { .. } | Operation::Upsert { .. } => {}
        Operation::Replace { if_match, .. }
        | Operation::Delete { if_match, .. }
        | Operation::Patch { if_match, .. } => {
            let stored = there.ok_or(StoreError::NotFound { operation: at })?;
            if if_match.as_ref().is_some_and(|wanted| *wanted != stored.etag) {
                return Err(StoreError::PreconditionFailed { operation: at });
            }
        }
    }
    // Tags of this batch are not known yet: any guard on them is wrong.
    let etag = String::new();
    match operation.clone() {
        Operation::Create { body, expires_at, .. }
        | Operation::Upsert { body, expires_at, .. }
        | Operation::Replace { body, expires_at, .. } => {
            model.insert(step.id, Stored { body, expires_at, etag });
        }
        Operation::Delete { .. } => drop(model.remove(step.id)),
        Operation::Patch { .. } => {
            let stored = model.get_mut(step.id).unwrap();
            stored.body["x"] = json!(stored.body["x"].as_i64().unwrap() + step.value);
            stored.etag = etag;
        }
    }
    Ok(())
}

pub async fn agrees_with_a_simple_model(subject: &Subject) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let batches = (prop::collection::vec(step(), 1..4), 0..3_i64);
    let mut model = Model::new();
    for round in 0..BATCHES {
        let (steps, seconds) = batches.new_tree(&mut runner).unwrap().current();
        subject.clock.advance(SignedDuration::from_secs(seconds));
        let now = subject.clock.now();
        let operations: Vec<Operation> = steps.iter().map(|step| operation(step, &model, now)).collect();
        let mut after = model.clone();
        let wanted = steps
            .iter()
            .zip(&operations)
            .enumerate()
            .try_for_each(|(at, (step, operation))| apply(&mut after, step, operation, at, now));
        let outcome = subject.write("p", operations.clone()).await.map(drop);
        assert_eq!(outcome, wanted, "{round}: {operations:?}");
        if outcome.is_ok() {
            model = after;
        }
        compare(subject, &mut model, now).await;
    }
}

/// The live documents are the model's; takes over the tags.
async fn compare(subject: &Subject, model: &mut Model, now: Timestamp) {
    let live = model.iter().filter(|(_, stored)| stored.expires_at.is_none_or(|end| end > now));
    let live: Vec<&str> = live.map(|(id, _)| *id).collect();
    assert_eq!(subject.ids("p", Query::new(None)).await, live);
    for (id, stored) in model {
        let found = subject.read("p", id).await;
        assert_eq!(found.is_some(), live.contains(id));
        if let Some(found) = found {
            assert_eq!(found.body, stored.body);
            stored.etag = found.etag;
        }
    }
}
