//! Searches of vectors by several stores on one file: those with copies in memory answer exactly as one that reads all
//! vectors each time, and as plain arithmetic, whatever was written, deleted or has expired in between.

use std::collections::BTreeMap;

use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_database::{Container, DocumentStore, Filter, Operation, PartitionKey, contract};
use coder_embedded::{Options, SqliteStore};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

const DIMENSIONS: u16 = 5;
/// Documents that one step writes at once.
const BATCH: u16 = 40;

#[derive(Debug, Clone)]
enum Step {
    /// Documents from this one on, with vectors from this seed on, and the seconds until they expire.
    Put {
        store: usize,
        bucket: u8,
        first: u16,
        seed: u16,
        seconds: Option<u8>,
    },
    Delete {
        store: usize,
        bucket: u8,
        first: u16,
    },
    Wait {
        seconds: u8,
    },
    Sweep {
        store: usize,
    },
    Search {
        store: usize,
        bucket: Option<u8>,
        seed: u16,
        top: u32,
        even: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (store, bucket, first) = (0..2_usize, 0..2_u8, 0..300_u16);
    // Few enough seeds that some vectors are the same.
    let seed = 0..200_u16;
    let put = (store.clone(), bucket.clone(), first.clone(), seed.clone(), prop::option::of(0..20_u8))
        .prop_map(|(store, bucket, first, seed, seconds)| Step::Put { store, bucket, first, seed, seconds });
    let delete = (store.clone(), bucket.clone(), first).prop_map(|(store, bucket, first)| Step::Delete {
        store,
        bucket,
        first,
    });
    let wait = (0..10_u8).prop_map(|seconds| Step::Wait { seconds });
    let sweep = store.clone().prop_map(|store| Step::Sweep { store });
    let search = (store, prop::option::of(bucket), seed, 1..40_u32, any::<bool>())
        .prop_map(|(store, bucket, seed, top, even)| Step::Search { store, bucket, seed, top, even });
    prop::collection::vec(prop_oneof![3 => put, 2 => delete, 1 => wait, 1 => sweep, 6 => search], 10..60)
}

/// A vector that looks random and is the same for the same seed.
fn vector(seed: u16) -> Vec<f32> {
    let mut state = u64::from(seed);
    let mut number = || f32::from(u16::try_from(crate::kill::random(&mut state) % 2000).unwrap()) - 1000.0;
    (0..DIMENSIONS).map(|_| number()).collect()
}

fn similarity(one: &[f32], other: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

struct Known {
    seed: u16,
    even: bool,
    expires_at: Option<Timestamp>,
}

struct World {
    /// Two with copies, and one that reads all vectors each time.
    stores: Vec<SqliteStore>,
    clock: ManualClock,
    known: BTreeMap<(u8, String), Known>,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(contract::start());
        let mut stores = Vec::new();
        for vector_memory in [1 << 20, 1 << 20, 0] {
            let options = Options { vector_memory, ..Options::default() };
            let ambient = Ambient::new(clock.clone(), OsEntropy);
            let store = SqliteStore::open(directory.path(), &options, ambient).unwrap();
            store.prepare(&[Container::bucketed("c").vector("v", u32::from(DIMENSIONS))]).await.unwrap();
            stores.push(store);
        }
        Self { stores, clock, known: BTreeMap::new(), _directory: directory }
    }

    fn now(&self) -> Timestamp {
        Ambient::new(self.clock.clone(), OsEntropy).now()
    }

    fn forget_expired(&mut self) {
        let now = self.now();
        self.known.retain(|_, known| known.expires_at.is_none_or(|end| end > now));
    }

    async fn take(&mut self, step: Step) {
        self.forget_expired();
        match step {
            Step::Put { store, bucket, first, seed, seconds } => {
                let expires_at =
                    seconds.map(|seconds| self.now() + SignedDuration::from_secs(i64::from(seconds)));
                let put = |offset: u16| {
                    let (id, even) = (format!("{:04}", first + offset), offset.is_multiple_of(2));
                    let seed = seed + offset / 3;
                    let body = json!({
                        "id": id, "partitionKey": "p", "bucket": bucket.to_string(), "even": even,
                        "v": vector(seed),
                    });
                    self.known.insert((bucket, id.clone()), Known { seed, even, expires_at });
                    Operation::Upsert { id, body, expires_at }
                };
                let batch = (0..BATCH).map(put).collect();
                self.stores[store].write("c", &key(Some(bucket)), batch).await.unwrap();
            }
            Step::Delete { store, bucket, first } => {
                let ids = (first..first + BATCH).map(|number| format!("{number:04}"));
                let there = ids.filter(|id| self.known.remove(&(bucket, id.clone())).is_some());
                let batch: Vec<_> = there.map(|id| Operation::Delete { id, if_match: None }).collect();
                if !batch.is_empty() {
                    self.stores[store].write("c", &key(Some(bucket)), batch).await.unwrap();
                }
            }
            Step::Wait { seconds } => self.clock.advance(SignedDuration::from_secs(i64::from(seconds))),
            Step::Sweep { store } => drop(self.stores[store].sweep().await.unwrap()),
            Step::Search { store, bucket, seed, top, even } => {
                self.search(store, bucket, seed, top, even).await;
            }
        }
    }

    async fn search(&self, store: usize, bucket: Option<u8>, seed: u16, top: u32, even: bool) {
        let (wanted, filter) = (vector(seed), Filter::eq("even", true));
        let ask = async |store: usize| {
            let filter = even.then_some(&filter);
            let found =
                self.stores[store].nearest("c", &key(bucket), "v", &wanted, top, filter).await.unwrap();
            let place = |(document, score): (coder_database::Document, f32)| {
                let bucket = document.body["bucket"].as_str().unwrap().parse::<u8>().unwrap();
                (bucket, document.id, score)
            };
            found.into_iter().map(place).collect::<Vec<_>>()
        };
        let (found, scanned) = (ask(store).await, ask(2).await);
        assert_eq!(found, scanned);
        let wanted_ones = self
            .known
            .iter()
            .filter(|((of, _), known)| bucket.is_none_or(|bucket| bucket == *of) && (!even || known.even));
        let mut best: Vec<f64> =
            wanted_ones.map(|(_, known)| similarity(&wanted, &vector(known.seed))).collect();
        best.sort_by(|one, other| other.total_cmp(one));
        best.truncate(top as usize);
        assert_eq!(found.len(), best.len());
        for ((bucket, id, score), best) in found.into_iter().zip(best) {
            let known = &self.known[&(bucket, id)];
            assert!((f64::from(score) - best).abs() < 1e-5);
            assert!((f64::from(score) - similarity(&wanted, &vector(known.seed))).abs() < 1e-5);
        }
    }
}

fn key(bucket: Option<u8>) -> PartitionKey {
    PartitionKey(std::iter::once("p".to_owned()).chain(bucket.map(|bucket| bucket.to_string())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn copies_answer_as_a_scan_does_after_any_changes_of_several_stores(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
            }
            world.forget_expired();
            for store in 0..2 {
                world.search(store, None, 7, 10, false).await;
            }
        });
    }
}
