//! Publishers and receivers killed at random moments: what was acknowledged is there, and nothing is completed
//! twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_embedded::broker::{Source, Subscription};
use coder_embedded::{Options, SqliteBroker};
use coder_queue::Publisher as _;
use jiff::SignedDuration;

use super::{event, take_all, users};
use crate::kill::random;

/// Names the directory and the prefix of ids to the child, a line each.
const CHILD: &str = "CODER_TEST_KILLED_BROKER";
/// Rounds, and processes in each that are killed one after the other.
const ROUNDS: u64 = 12;
const PROCESSES: u64 = 4;
/// Tasks that publish, and as many that receive, in a process.
const TASKS: usize = 3;

fn say(line: &str) -> bool {
    std::io::stderr().write_all(line.as_bytes()).is_ok()
}

/// Publishes two messages at a time, and says which were acknowledged.
async fn publish(broker: Arc<SqliteBroker>, prefix: String) {
    for number in 0_u64.. {
        let ids = [format!("{prefix}-{number}-a"), format!("{prefix}-{number}-b")];
        let line = match broker.publish(&ids.clone().map(|id| event(&id))).await {
            Ok(()) => format!("published {}\npublished {}\n", ids[0], ids[1]),
            Err(error) => format!("fault {error}\n"),
        };
        if !say(&line) {
            return;
        }
    }
}

/// Completes what it can get, and says so before and after; one at a time, so that a kill leaves one in doubt.
async fn complete(broker: Arc<SqliteBroker>) {
    loop {
        let received = broker.receive(&users(), 4).await;
        let lines = match received {
            Ok(found) if found.is_empty() => "idle\n".to_owned(),
            Ok(found) => {
                for delivery in found {
                    let id = &delivery.message.id;
                    if !say(&format!("tries {id}\n")) {
                        return;
                    }
                    let line = match broker.complete(&delivery.lock).await {
                        Ok(()) => format!("completed {id}\n"),
                        Err(error) => format!("fault {error}\n"),
                    };
                    if !say(&line) {
                        return;
                    }
                }
                String::new()
            }
            Err(error) => format!("fault {error}\n"),
        };
        if !say(&lines) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The child: works until it is killed. Does nothing in a normal test run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test has no other way to reach this function")]
    let Ok(order) = std::env::var(CHILD) else { return };
    let (directory, prefix) = order.split_once('\n').unwrap();
    let broker =
        Arc::new(SqliteBroker::open(Path::new(directory), &Options::default(), Ambient::system()).unwrap());
    broker.subscribe(&[Subscription::new("users", ["coder.*"])]).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(publish(Arc::clone(&broker), format!("{prefix}-{task}")));
        tasks.spawn(complete(Arc::clone(&broker)));
    }
    tasks.join_all().await;
}

/// Runs a process, kills it after so many lines, and gives all that it said.
fn work_and_kill(directory: &Path, prefix: &str, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "broker::kill::broker_child", "--nocapture"])
        .env(CHILD, format!("{}\n{prefix}", directory.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = lines.by_ref().take(after).collect();
    child.kill().unwrap();
    // Whatever reached the pipe before the kill was said too.
    said.extend(lines);
    assert!(!child.wait().unwrap().success(), "the process ended by itself: {:?}", said.last());
    said
}

#[derive(Debug, Default)]
struct Told {
    published: BTreeSet<String>,
    /// Tried by a process that was killed before it said what came of it: at most one for each of its tasks.
    in_doubt: BTreeSet<String>,
    completed: BTreeMap<String, u32>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("published", id)) => drop(self.published.insert(id.to_owned())),
            Some(("tries", id)) => drop(self.in_doubt.insert(id.to_owned())),
            Some(("completed", id)) => {
                self.in_doubt.remove(id);
                *self.completed.entry(id.to_owned()).or_default() += 1;
            }
            None if line == "idle" || line.is_empty() => {}
            _ => panic!("a process failed: {line}"),
        }
    }
}

#[tokio::test]
async fn killed_processes_lose_no_message_and_complete_none_twice() {
    let mut state = 20_260_202;
    let directory = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for round in 0..ROUNDS {
        let said: Vec<Vec<String>> = thread::scope(|scope| {
            let start = |process: u64| {
                let after = usize::try_from(40 + random(&mut state) % 400).unwrap();
                let (path, prefix) = (directory.path(), format!("{round}-{process}"));
                scope.spawn(move || work_and_kill(path, &prefix, after))
            };
            let started: Vec<_> = (0..PROCESSES).map(start).collect();
            started.into_iter().map(|process| process.join().unwrap()).collect()
        });
        for line in said.iter().flatten() {
            told.hear(line);
        }
    }
    let killed = usize::try_from(ROUNDS * PROCESSES).unwrap();
    assert!(told.in_doubt.len() <= killed * TASKS, "{} in doubt: too much is excused", told.in_doubt.len());
    // Locks that nobody gave back end.
    let clock = ManualClock::at(Ambient::system().now());
    clock.advance(SignedDuration::from_mins(10));
    let ambient = Ambient::new(clock, OsEntropy);
    let broker = SqliteBroker::open(directory.path(), &Options::default(), ambient).unwrap();
    let rest: Vec<String> =
        take_all(&broker, &users()).await.into_iter().map(|delivery| delivery.message.id).collect();
    let left: BTreeSet<String> = rest.iter().cloned().collect();
    assert_eq!(left.len(), rest.len(), "a message waited twice");
    let twice: Vec<_> =
        told.completed.iter().filter(|(id, times)| **times > 1 || left.contains(*id)).collect();
    assert!(twice.is_empty(), "completed and there again: {twice:?}");
    // A kill between the commit and the word for it is the only way not to know.
    let gone = |id: &&String| {
        !told.completed.contains_key(*id) && !left.contains(*id) && !told.in_doubt.contains(*id)
    };
    let lost: Vec<_> = told.published.iter().filter(gone).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(take_all(&broker, &Source::subscription("users").dead_letters()).await.is_empty());
    let (published, completed) = (told.published.len(), told.completed.len());
    assert!(published > 1000 && completed > 300, "{published} and {completed}: the test proves too little");
}
