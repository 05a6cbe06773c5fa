//! The ten nearest of many vectors: the embedded store, beside an exact scan of vectors that lie in memory.

use std::collections::BTreeSet;

use coder_core::Ambient;
use coder_database::{Container, DocumentStore, Operation, PartitionKey};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::clock::{percentile, timed};
use crate::store::open;
use crate::table::Table;

const NAME: &str = "documents";
const FIELD: &str = "embedding";
const DIMENSIONS: usize = 384;
const SIZES: [usize; 1] = [10_000];
const LONG: usize = 100_000;
const BATCH: usize = 50;
const AT_ONCE: usize = 10;
const SEARCHES: usize = 40;
const TOP: u32 = 10;
/// The longest that half of the searches of the large container may take.
const MEDIAN_MS: f64 = 5.0;
const RECALL: f64 = 0.99;
/// Sums kept side by side, so that the compiler can use wide registers.
const LANES: usize = 16;

/// Vectors around a few hundred centres, as texts about a few hundred subjects would have them.
fn vector(ambient: &Ambient, number: usize) -> Vec<f32> {
    let noise: [u8; DIMENSIONS] = ambient.random();
    let centre = u32::try_from(number % 256).unwrap_or_default();
    let numbers = noise.iter().zip(0_u32..).map(|(noise, place)| {
        let wave = f32::from(u8::try_from((place * 31 + centre * 97 + place * centre) % 251).unwrap_or(0));
        f32::from(*noise) / 128.0 - 1.0 + wave / 125.0 - 1.0
    });
    let numbers: Vec<f32> = numbers.collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (one, other) in one.chunks_exact(LANES).zip(other.chunks_exact(LANES)) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    sums.iter().sum()
}

/// The numbers of the nearest, exactly.
fn scan(all: &[Vec<f32>], wanted: &[f32]) -> BTreeSet<usize> {
    let mut alike: Vec<(f32, usize)> =
        all.iter().enumerate().map(|(number, vector)| (dot(vector, wanted), number)).collect();
    let top = TOP as usize;
    alike.select_nth_unstable_by(top, |one, other| other.0.total_cmp(&one.0));
    alike.truncate(top);
    alike.into_iter().map(|(_, number)| number).collect()
}

/// Fills a container for each size and searches it.
pub(crate) async fn measure(table: &mut Table, long: bool) -> anyhow::Result<()> {
    for size in SIZES.into_iter().chain(long.then_some(LONG)) {
        search(table, size).await?;
    }
    Ok(())
}

async fn search(table: &mut Table, size: usize) -> anyhow::Result<()> {
    let (directory, ambient, key) = (tempfile::tempdir()?, Ambient::system(), PartitionKey::single("bench"));
    let dimensions = u32::try_from(DIMENSIONS)?;
    let store = open(directory.path(), Container::new(NAME).vector(FIELD, dimensions)).await?;
    let all: Vec<Vec<f32>> = (0..size).map(|number| vector(&ambient, number)).collect();
    let create = |number: usize| {
        let id = format!("{number:010}");
        let body = json!({"id": id, "partitionKey": "bench", "type": "text", FIELD: all[number]});
        Operation::Create { id, body, expires_at: None }
    };
    for first in (0..size).step_by(BATCH * AT_ONCE) {
        let batches = (first..(first + BATCH * AT_ONCE).min(size)).step_by(BATCH);
        let fill =
            async |first: usize| store.write(NAME, &key, (first..first + BATCH).map(create).collect()).await;
        try_join_all(batches.map(fill)).await?;
    }
    let first = vector(&ambient, 0);
    let (hits, first) = timed(store.nearest(NAME, &key, FIELD, &first, TOP, None)).await;
    anyhow::ensure!(hits?.len() == TOP as usize, "a search finds as many as it wants");
    let (mut ours, mut scanned, mut found) = (Vec::new(), Vec::new(), 0);
    for number in 0..SEARCHES {
        let wanted = vector(&ambient, number * 7);
        let (hits, took) = timed(store.nearest(NAME, &key, FIELD, &wanted, TOP, None)).await;
        ours.push(took);
        let (exact, took) = timed(async { scan(&all, &wanted) }).await;
        scanned.push(took);
        let hits: BTreeSet<usize> = hits?.iter().filter_map(|(hit, _)| hit.id.parse().ok()).collect();
        found += exact.intersection(&hits).count();
    }
    let milliseconds = |took: &mut Vec<_>| percentile(took, 50).as_secs_f64() * 1e3;
    let (ours, scanned) = (milliseconds(&mut ours), milliseconds(&mut scanned));
    let wanted = SEARCHES * TOP as usize;
    let recall = f64::from(u32::try_from(found)?) / f64::from(u32::try_from(wanted)?);
    let what = format!("top 10 of {size} × {DIMENSIONS}");
    let first = format!("{:.0} ms", first.as_secs_f64() * 1e3);
    table.row(format!("{what}, the first, which makes the copy"), first);
    let row = table.row(format!("{what}, median"), format!("{ours:.1} ms"));
    row.beside(format!("a scan in memory {scanned:.1} ms")).figure(ours, " ms");
    if size == LONG {
        row.at_most(MEDIAN_MS);
    }
    let row = table.row(format!("{what}, recall"), format!("{found} of {wanted}")).beside("a scan: all");
    row.figure(recall, "").at_least(RECALL);
    Ok(())
}
