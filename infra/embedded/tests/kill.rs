//! Writers killed at random moments: what was acknowledged is there, and no batch is there by half.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use coder_core::Ambient;
use coder_database::{Container, DocumentStore, Operation, PartitionKey, Query, StoreError};
use coder_embedded::{Options, SqliteStore};
use serde_json::json;

/// Names the directory and the prefix of ids to the child, a line each.
const CHILD: &str = "CODER_TEST_KILLED_WRITER";
const CONTAINER: &str = "killed";
/// Kills, and how many of them go to one file.
const ROUNDS: u64 = 60;
const ROUNDS_A_FILE: u64 = 12;
/// Batches on their way at once.
const TASKS: usize = 6;
/// What a batch writes; the names stand before the batch's id.
const PARTS: [&str; 3] = ["document", "claim", "outbox"];

async fn open(directory: &Path) -> SqliteStore {
    let store = SqliteStore::open(directory, &Options::default(), Ambient::system()).unwrap();
    store.prepare(&[Container::new(CONTAINER).index(["batch"])]).await.unwrap();
    store
}

fn batch(id: &str) -> Vec<Operation> {
    let document = |part: &str| {
        let id = format!("{part}:{id}");
        // Large enough that the log is checkpointed now and then.
        let body = json!({ "partitionKey": "p", "id": id, "batch": id, "padding": "x".repeat(2000) });
        Operation::Create { id, body, expires_at: None }
    };
    PARTS.map(document).to_vec()
}

/// The child: writes until it is killed, and says what was acknowledged. Does nothing in a normal test run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test has no other way to reach this function")]
    let Ok(order) = std::env::var(CHILD) else { return };
    let (directory, prefix) = order.split_once('\n').unwrap();
    let store = Arc::new(open(Path::new(directory)).await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (store, prefix) = (Arc::clone(&store), prefix.to_owned());
        tasks.spawn(async move {
            for number in 0_u64.. {
                let id = format!("{prefix}-{task}-{number}");
                let line = match store.write(CONTAINER, &PartitionKey::single("p"), batch(&id)).await {
                    Ok(_) => format!("ack {id}\n"),
                    Err(StoreError::Throttled { .. }) => continue,
                    Err(error) => format!("fault {error}\n"),
                };
                // The parent is gone, so this process goes too.
                if std::io::stderr().write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Starts a writer, kills it after so many acknowledgements, and gives all that it was acknowledged.
fn write_and_kill(directory: &Path, prefix: &str, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::writer_child", "--nocapture"])
        .env(CHILD, format!("{}\n{prefix}", directory.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = lines.by_ref().take(after).collect();
    child.kill().unwrap();
    // Whatever reached the pipe before the kill was acknowledged too.
    said.extend(lines);
    assert!(!child.wait().unwrap().success(), "the writer ended by itself: {:?}", said.last());
    let acknowledged = said.iter().map(|line| line.strip_prefix("ack ").map(str::to_owned));
    acknowledged.collect::<Option<_>>().unwrap_or_else(|| panic!("the writer failed: {said:?}"))
}

async fn stored(store: &SqliteStore) -> BTreeSet<String> {
    let mut query = Query::new(None).limit(1000);
    let mut ids = BTreeSet::new();
    loop {
        let page = store.query(CONTAINER, &PartitionKey::single("p"), &query).await.unwrap();
        ids.extend(page.items.into_iter().map(|document| document.id));
        match page.next {
            Some(next) => query.continuation = Some(next),
            None => return ids,
        }
    }
}

async fn verify(directory: &Path, acknowledged: &[String]) {
    let store = open(directory).await;
    store.check().await.unwrap();
    let stored = stored(&store).await;
    let whole = |id: &str| PARTS.iter().all(|part| stored.contains(&format!("{part}:{id}")));
    for id in acknowledged {
        assert!(whole(id), "{id} was acknowledged and is not wholly there");
    }
    for id in &stored {
        assert!(whole(id.split_once(':').unwrap().1), "{id} is there without the rest of its batch");
    }
}

/// Numbers that are the same at every run.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 31)
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_half() {
    let mut state = 20_260_131;
    let mut total = 0;
    let mut files = Vec::new();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        if round % ROUNDS_A_FILE == 0 {
            files.push(tempfile::tempdir().unwrap());
            acknowledged.clear();
        }
        let directory = files.last().unwrap().path();
        // Every third time two processes write at once; the first one's death must not hurt the second.
        let writers = if round % 3 == 2 { 2 } else { 1 };
        let found: Vec<Vec<String>> = thread::scope(|scope| {
            let start = |writer: u64| {
                let after = usize::try_from(random(&mut state) % 60).unwrap();
                scope.spawn(move || write_and_kill(directory, &format!("{round}-{writer}"), after))
            };
            let started: Vec<_> = (0..writers).map(start).collect();
            started.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        acknowledged.extend(found.into_iter().flatten());
        verify(directory, &acknowledged).await;
        if round % ROUNDS_A_FILE == ROUNDS_A_FILE - 1 {
            total += acknowledged.len();
        }
    }
    assert!(total > 1000, "only {total} batches were acknowledged: the test proves too little");
}
