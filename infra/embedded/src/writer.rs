//! The one writing thread of a database in this process. It commits what waits together (group commit): under
//! load one flush of the disk serves many writes.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use coder_database::StoreError;
use rusqlite::Connection;

use crate::error::{from_sqlite, unavailable};
use crate::lock::LockFile;

/// Jobs in one commit, at most.
const GROUP: usize = 256;

/// How long to wait for this process's turn to write. Turns last a fraction of it, so whoever has it for longer is
/// frozen, and the rest go on without turns.
const TURN: Duration = Duration::from_secs(1);

/// Takes the right to write at once: a transaction that takes it later can find that another process has it.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Tells the waiting task its outcome; called only after the commit, with how that went.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What a task wants written.
pub(crate) struct Job {
    /// Whether all that it writes is one statement, which SQLite undoes by itself if it fails.
    pub(crate) one_statement: bool,
    /// Writes, or is told why it cannot. `None` means that nobody waits for it any more.
    pub(crate) run: Run,
}

/// The work of a [`Job`].
pub(crate) type Run = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Option<JobDone> + Send>;

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
            let unreached = group.filter_map(|job| (job.run)(Err(error.clone())));
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
    let outcome = execute(connection, BEGIN).and_then(|()| {
        let mut written = false;
        for job in group {
            written |= run_job(connection, job, written, answers)?;
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

/// Answers whether the job left something. An error is one of the whole transaction; that of the job alone is in its
/// answer. A savepoint costs a copy of every page that the job changes, so only those have one that need it: while
/// nothing was `written` before, the whole transaction can go instead.
fn run_job(
    connection: &Connection,
    job: Job,
    written: bool,
    answers: &mut Vec<Answer>,
) -> Result<bool, StoreError> {
    let guarded = written && !job.one_statement;
    let ready = if guarded { execute(connection, "SAVEPOINT job") } else { Ok(()) };
    let done = (job.run)(ready.clone().map(|()| connection));
    let keep = done.as_ref().is_some_and(|done| done.keep);
    answers.extend(done.map(|done| done.answer));
    ready?;
    // A full disk or a read error can end the whole transaction: nothing is ever written outside of one.
    if connection.is_autocommit() {
        return Err(unavailable("the transaction was ended by a fault"));
    }
    match (keep, guarded) {
        (true, true) => execute(connection, "RELEASE job")?,
        (false, true) => {
            execute(connection, "ROLLBACK TO job")?;
            execute(connection, "RELEASE job")?;
        }
        (false, false) if !job.one_statement => {
            execute(connection, "ROLLBACK")?;
            execute(connection, BEGIN)?;
        }
        (_, false) => {}
    }
    Ok(keep)
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map_err(from_sqlite)?;
    Ok(())
}
