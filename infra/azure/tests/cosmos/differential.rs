//! The same random operations and queries on the embedded store and on Cosmos DB: every answer is the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coder_azure::cosmos::Limits;
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::contract::{self, LAYERED, PLAIN, filters};
use coder_database::{
    Direction, Document, DocumentStore, Filter, Operation, PartitionKey, Patch, Query, StoreError,
};
use coder_embedded::{Options, SqliteStore};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::doubles::cosmos::Emulator;

/// Sequences tried.
const SEQUENCES: u32 = 2_000;
/// Steps of the longest.
const STEPS: usize = 5;

/// One step of a sequence.
#[derive(Debug, Clone)]
enum Step {
    /// A batch in one of the sequence's partitions.
    Write { place: usize, acts: Vec<Act> },
    /// All pages of a query below one of the sequence's keys.
    Query { scope: usize, query: Query },
    /// Time passes.
    Wait { seconds: i64 },
}

/// An operation whose tag is chosen when it runs.
#[derive(Debug, Clone)]
struct Act {
    kind: u8,
    id: &'static str,
    more: Value,
    lives_seconds: Option<i64>,
    tag: Tag,
    patch: Vec<Patch>,
}

#[derive(Debug, Clone, Copy)]
enum Tag {
    None,
    Current,
    Wrong,
}

/// The partitions of a sequence.
const PLACES: usize = 3;
/// The keys that it queries: its partitions, and what is above two of them.
const SCOPES: usize = 5;

fn place(sequence: usize, place: usize) -> (&'static str, PartitionKey) {
    let own = format!("s{sequence}");
    match place {
        0 => (PLAIN, PartitionKey::single(own)),
        1 => (LAYERED, PartitionKey(vec![own, "b".into(), "1".into()])),
        2 => (LAYERED, PartitionKey(vec![own, "b".into(), "2".into()])),
        3 => (LAYERED, PartitionKey(vec![own, "b".into()])),
        _ => (LAYERED, PartitionKey(vec![own])),
    }
}

fn patch() -> impl Strategy<Value = Patch> {
    let field =
        || prop::sample::select(vec!["status", "priority", "nested.a", "free.x"]).prop_map(str::to_owned);
    prop_oneof![
        (field(), -5..5_i64).prop_map(|(field, by)| Patch::Increment { field, by }),
        (field(), 0..3_i64).prop_map(|(field, value)| Patch::Set { field, value: json!(value) }),
        field().prop_map(|field| Patch::Remove { field }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let id = prop::sample::select(vec!["a", "b", "c", "d"]);
    let tag = prop::sample::select(vec![Tag::None, Tag::None, Tag::Current, Tag::Wrong]);
    let lives = prop::option::weighted(0.2, 0..10_i64);
    let patches = prop::collection::vec(patch(), 1..3);
    // Creations are the most, so that there is something to query.
    let kind = prop::sample::select(vec![0, 0, 0, 1, 1, 2, 3, 4]);
    (kind, id, document(), lives, tag, patches).prop_map(|(kind, id, more, lives_seconds, tag, patch)| Act {
        kind,
        id,
        more,
        lives_seconds,
        tag,
        patch,
    })
}

/// A document made to mislead, with two fields to sort by: the SDK sorts no arrays and objects across partitions.
fn document() -> impl Strategy<Value = Value> {
    let sorted = || prop::option::weighted(0.8, filters::scalar());
    (filters::document(), sorted(), sorted()).prop_map(|(mut more, one, two)| {
        for (name, value) in [("one", one), ("two", two)] {
            if let Some(value) = value {
                more[name] = value;
            }
        }
        exact(more)
    })
}

/// Numbers beyond what the cloud keeps exactly are no subject here.
fn exact(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_f64().is_some_and(|float| float.abs() > 9e15) => json!(7),
        Value::Array(items) => items.into_iter().map(exact).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, exact(value))).collect(),
        other => other,
    }
}

fn query() -> impl Strategy<Value = Query> {
    let filter = prop::option::of(filters::filter());
    let field = prop::sample::select(vec!["one", "two"]);
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    let order = prop::collection::vec((field, direction), 0..3);
    (filter, any::<bool>(), order, 1..4_u32).prop_map(|(filter, of_type, mut order, limit)| {
        order.dedup_by_key(|(field, _)| *field);
        let typed = of_type.then(|| Filter::of_type("thing"));
        let filter = match (typed, filter) {
            (Some(typed), Some(filter)) => Some(typed.and(filter)),
            (typed, filter) => typed.or(filter),
        };
        let order = order.into_iter().map(|(field, direction)| (field.to_owned(), direction)).collect();
        Query { order, ..Query::new(filter).limit(limit) }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..PLACES, prop::collection::vec(act(), 1..5)).prop_map(|(place, acts)| Step::Write { place, acts }),
        4 => (0..SCOPES, query()).prop_map(|(scope, query)| Step::Query { scope, query }),
        1 => (1..6_i64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// A store, and the tags that it gave.
struct Side {
    store: Arc<dyn DocumentStore>,
    tags: BTreeMap<(usize, &'static str), String>,
}

impl Side {
    fn operation(&self, at: usize, key: &PartitionKey, act: &Act, ambient: &Ambient) -> Operation {
        let id = act.id.to_owned();
        let mut body = act.more.clone();
        body["id"] = json!(id);
        body["type"] = json!("thing");
        let names: &[&str] =
            if key.0.len() == 1 { &["partitionKey"] } else { &["organizationId", "bucket", "day"] };
        for (name, value) in names.iter().zip(&key.0) {
            body[*name] = json!(value);
        }
        let expires_at = act.lives_seconds.map(|seconds| ambient.after(seconds));
        let if_match = match act.tag {
            Tag::None => None,
            Tag::Current => Some(self.tags.get(&(at, act.id)).cloned().unwrap_or_else(|| "none".into())),
            Tag::Wrong => Some("0000000000000000".into()),
        };
        match act.kind {
            0 => Operation::Create { id, body, expires_at },
            1 => Operation::Upsert { id, body, expires_at },
            2 => Operation::Replace { id, body, expires_at, if_match },
            3 => Operation::Delete { id, if_match },
            _ => Operation::Patch { id, patches: act.patch.clone(), if_match },
        }
    }

    /// What came of a batch, without what providers may put differently.
    async fn write(
        &mut self,
        at: usize,
        (container, key): (&'static str, PartitionKey),
        acts: &[Act],
        ambient: &Ambient,
    ) -> Result<Vec<(bool, Option<Value>)>, String> {
        let operations = acts.iter().map(|act| self.operation(at, &key, act, ambient)).collect();
        let written = self.store.write(container, &key, operations).await.map_err(|error| shown(&error))?;
        for act in acts {
            let found = self.store.read(container, &key, act.id).await.map_err(|error| shown(&error))?;
            if let Some(Document { etag, .. }) = found {
                self.tags.insert((at, act.id), etag);
            }
        }
        Ok(written.into_iter().map(|one| (one.etag.is_some(), one.body.map(as_floats))).collect())
    }

    /// All pages, each as the documents that it has.
    async fn pages(
        &self,
        (container, key): (&'static str, PartitionKey),
        mut query: Query,
    ) -> Result<Vec<Vec<Value>>, String> {
        let mut pages = Vec::new();
        loop {
            let page = self.store.query(container, &key, &query).await.map_err(|error| error.to_string())?;
            pages.push(page.items.into_iter().map(|document| as_floats(document.body)).collect());
            match page.next {
                Some(next) if pages.len() < 100 => query.continuation = Some(next),
                _ => return Ok(pages),
            }
        }
    }
}

/// The error, without the words that a provider finds for it.
fn shown(error: &StoreError) -> String {
    match error {
        StoreError::Invalid { .. } => "invalid".to_owned(),
        StoreError::TooLarge { .. } => "too large".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Whole numbers and floats of the same value are the same to a store.
fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap_or_default() + 0.0),
        Value::Array(items) => items.into_iter().map(as_floats).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, as_floats(value))).collect(),
        other => other,
    }
}

/// Runs a sequence in partitions of its own on both sides.
async fn agree(
    sides: &mut [Side; 2],
    sequence: usize,
    steps: &[Step],
    clock: &ManualClock,
    ambient: &Ambient,
) -> Result<(), TestCaseError> {
    let [embedded, cosmos] = sides;
    (embedded.tags, cosmos.tags) = (BTreeMap::new(), BTreeMap::new());
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Write { place: index, acts } => {
                let wanted = embedded.write(*index, place(sequence, *index), acts, ambient).await;
                let found = cosmos.write(*index, place(sequence, *index), acts, ambient).await;
                prop_assert_eq!(found, wanted, "step {}", at);
            }
            Step::Query { scope, query } => {
                let wanted = embedded.pages(place(sequence, *scope), query.clone()).await;
                let found = cosmos.pages(place(sequence, *scope), query.clone()).await;
                prop_assert_eq!(found, wanted, "step {}", at);
            }
            Step::Wait { seconds } => clock.advance(SignedDuration::from_secs(*seconds)),
        }
    }
    for index in 0..PLACES {
        let query = Query::new(None).limit(100);
        let wanted = embedded.pages(place(sequence, index), query.clone()).await;
        let found = cosmos.pages(place(sequence, index), query).await;
        prop_assert_eq!(found, wanted, "what is left in {}", index);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_give_the_same_answers() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(contract::start());
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let containers = contract::containers();
    let sqlite = SqliteStore::open(directory.path(), &Options::default(), ambient.clone()).unwrap();
    sqlite.prepare(&containers).await.unwrap();
    let cosmos =
        Emulator::with(&containers).store(&containers, Limits::default(), Vec::new(), ambient.clone()).await;
    let side = |store: Arc<dyn DocumentStore>| Side { store, tags: BTreeMap::new() };
    let sides = std::cell::RefCell::new([side(Arc::new(sqlite)), side(Arc::new(cosmos))]);
    let (runtime, sequences) = (tokio::runtime::Handle::current(), AtomicUsize::new(0));
    tokio::task::block_in_place(|| {
        filters::runner(SEQUENCES)
            .run(&prop::collection::vec(step(), 1..=STEPS), |steps| {
                let sequence = sequences.fetch_add(1, Ordering::Relaxed);
                runtime.block_on(agree(&mut sides.borrow_mut(), sequence, &steps, &clock, &ambient))
            })
            .unwrap();
    });
}
