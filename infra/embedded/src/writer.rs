//! The one writing thread of a database in this process. It commits what waits together (group commit): under
//! load one flush of the disk serves many writes.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use coder_database::StoreError;
use rusqlite::Connection;

use crate::error::from_sqlite;
use crate::lock::LockFile;

/// Jobs in one commit, at most.
const GROUP: usize = 256;

/// How long to wait for this process's turn to write. Turns last a fraction of it, so whoever has it for longer is
/// frozen, and the rest go on without turns.
const TURN: Duration = Duration::from_secs(1);

/// Tells the waiting task its outcome; called only after the commit, with how that went.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A job: it writes inside a savepoint, or is told why it cannot. `None` means that nobody waits for it any more.
pub(crate) type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Option<JobDone> + Send>;

/// A job that has run but is not yet committed.
pub(crate) struct JobDone {
    /// Whether its changes stay.
    pub(crate) keep: bool,
    /// To be called after the commit.
    pub(crate) answer: Answer,
}

/// Runs until every sender is gone and everything sent is done.
pub(crate) fn run(connection: &Connection, lock: &LockFile, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut group = std::iter::once(first).chain(jobs.try_iter().take(GROUP));
        let mut answers = Vec::new();
        let outcome = commit_group(connection, lock, &mut group, &mut answers);
        if let Err(error) = &outcome {
            tracing::error!(%error, "a group of writes was not committed");
            let unreached = group.filter_map(|job| job(Err(error.clone())));
            answers.extend(unreached.map(|done| done.answer));
        }
        for answer in answers {
            answer(outcome.clone());
        }
    }
}

/// Runs the jobs in one transaction.
fn commit_group(
    connection: &Connection,
    lock: &LockFile,
    group: &mut impl Iterator<Item = Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    // The lock is a courtesy to other processes: SQLite's own keeps the file safe without it.
    let held = lock.lock_within(TURN);
    match &held {
        Ok(Some(_)) => {}
        Ok(None) => tracing::debug!("another process does not give the turn to write back"),
        Err(cause) => tracing::warn!(%cause, "the lock file cannot be locked"),
    }
    let outcome = execute(connection, "BEGIN IMMEDIATE").and_then(|()| {
        for job in group {
            run_job(connection, job, answers)?;
        }
        execute(connection, "COMMIT")
    });
    if outcome.is_err() && !connection.is_autocommit() {
        // What failed before is the error that counts.
        drop(execute(connection, "ROLLBACK"));
    }
    drop(held);
    outcome
}

/// An error is one of the whole transaction; that of the job alone is in its answer.
fn run_job(connection: &Connection, job: Job, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
    let ready = execute(connection, "SAVEPOINT job");
    let done = job(ready.clone().map(|()| connection));
    let keep = done.as_ref().is_some_and(|done| done.keep);
    answers.extend(done.map(|done| done.answer));
    ready?;
    // A full disk or a read error can end the whole transaction. The savepoint is gone with it, and these
    // statements fail: nothing is ever written outside of a transaction.
    if !keep {
        execute(connection, "ROLLBACK TO job")?;
    }
    execute(connection, "RELEASE job")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map_err(from_sqlite)?;
    Ok(())
}
