//! One SQLite file as this process uses it: a writing thread, two reading threads, and bounded queues to them; single
//! documents are read without any.
//! It knows nothing of documents.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use coder_database::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::{throttled, unavailable};
use crate::lock::LockFile;
use crate::open::{OpenError, Options, check_sqlite_version, connect, connect_reader};
use crate::points::Points;
use crate::{reader, writer};

/// Threads that read.
const READERS: usize = 2;

/// An open file. Dropping it finishes what was accepted, then closes the file.
pub(crate) struct Database {
    path: PathBuf,
    // `None` only while dropping, so that the threads see the end of their queues.
    write: Option<SyncSender<writer::Job>>,
    read: Option<SyncSender<reader::Job>>,
    points: Points,
    writer: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

impl Database {
    /// Opens or makes `<directory>/<name>.db`. `schema` runs in one transaction.
    pub(crate) fn open(
        directory: &Path,
        name: &str,
        options: &Options,
        schema: impl FnOnce(&Connection, &Path) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        check_sqlite_version()?;
        let unwritable = |path: &Path, source| OpenError::Unwritable { path: path.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(|cause| unwritable(directory, cause))?;
        let path = directory.join(format!("{name}.db"));
        let lock_path = directory.join(format!("{name}.wlock"));
        let lock = LockFile::open(&lock_path).map_err(|cause| unwritable(&lock_path, cause))?;
        // Processes that make a file at the same time disturb each other in ways no timeout helps.
        let held = lock.lock_within(options.lock_timeout).map_err(|cause| unwritable(&lock_path, cause))?;
        if held.is_none() {
            return Err(OpenError::Locked { path });
        }
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(&path, &error);
        let connection = connect(&path, options).map_err(sqlite)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sqlite)?;
        schema(&connection, &path)?;
        connection.execute_batch("COMMIT").map_err(sqlite)?;
        let readers = (0..READERS).map(|_| connect_reader(&path, options));
        let readers = readers.collect::<Result<Vec<_>, _>>().map_err(sqlite)?;
        let points = Points::new(&path, options);
        drop(held);
        Self::start(path.clone(), connection, lock, readers, points, options.queue)
            .map_err(|cause| OpenError::Other { path, detail: cause.to_string() })
    }

    fn start(
        path: PathBuf,
        connection: Connection,
        lock: LockFile,
        readers: Vec<Connection>,
        points: Points,
        queue: usize,
    ) -> io::Result<Self> {
        let (write, jobs) = mpsc::sync_channel(queue);
        let (read, questions) = mpsc::sync_channel::<reader::Job>(queue);
        let questions = Arc::new(Mutex::new(questions));
        let spawn =
            |name: &str, work: Box<dyn FnOnce() + Send>| thread::Builder::new().name(name.into()).spawn(work);
        let readers = readers.into_iter().map(|connection| {
            let questions = Arc::clone(&questions);
            spawn("coder-read", Box::new(move || reader::run(&connection, &questions)))
        });
        let readers = readers.collect::<Result<_, _>>()?;
        let writer = spawn("coder-write", Box::new(move || writer::run(&connection, &lock, &jobs)))?;
        Ok(Self { path, write: Some(write), read: Some(read), points, writer: Some(writer), readers })
    }

    fn join(&self, thread: JoinHandle<()>) {
        if thread.join().is_err() {
            tracing::error!(path = %self.path.display(), "a thread of the store panicked");
        }
    }

    /// Runs a job in the writing thread; what it wrote stays only if it succeeds. The answer comes when the
    /// commit is done.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit_write(false, job).await
    }

    /// The same for a job of which all that it writes is one statement; it is cheaper.
    pub(crate) async fn write_statement<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit_write(true, job).await
    }

    async fn submit_write<T: Send + 'static>(
        &self,
        one_statement: bool,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let run: writer::Run = Box::new(move |connection| {
            if tell.is_closed() {
                return None;
            }
            let outcome = connection.and_then(job);
            let keep = outcome.is_ok();
            let answer: writer::Answer = Box::new(move |committed| {
                // Nobody listening any more is no fault.
                drop(tell.send(committed.and(outcome)));
            });
            Some(writer::JobDone { keep, answer })
        });
        submit(self.write.as_ref(), writer::Job { one_statement, run })?;
        told.await.unwrap_or_else(|_| Err(unavailable("the write was not carried out")))
    }

    /// Runs a job that reads a single document: here if that can be done without waiting, else in a reading thread.
    pub(crate) async fn read_point<T: Send + 'static>(
        &self,
        job: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // A task that reads one document after the other lets others in between.
        tokio::task::coop::consume_budget().await;
        match self.points.read(&job) {
            Some(outcome) => outcome,
            None => self.read(job).await,
        }
    }

    /// Runs a job in a reading thread.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let job: reader::Job = Box::new(move |connection| {
            if !tell.is_closed() {
                drop(tell.send(job(connection)));
            }
        });
        submit(self.read.as_ref(), job)?;
        told.await.unwrap_or_else(|_| Err(unavailable("the read was not carried out")))
    }
}

fn submit<J>(queue: Option<&SyncSender<J>>, job: J) -> Result<(), StoreError> {
    match queue.map(|queue| queue.try_send(job)) {
        Some(Ok(())) => Ok(()),
        Some(Err(TrySendError::Full(_))) => Err(throttled()),
        Some(Err(TrySendError::Disconnected(_))) | None => Err(unavailable("the document file is closed")),
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // One after the other: only the last connection to close can bring the log into the file, and two that
        // close at the same time each take the other for open.
        self.points.close();
        self.read = None;
        for reader in std::mem::take(&mut self.readers) {
            self.join(reader);
        }
        self.write = None;
        if let Some(writer) = self.writer.take() {
            self.join(writer);
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn open(directory: &Path, queue: usize) -> Database {
        let schema = |connection: &Connection, _: &Path| {
            connection
                .execute_batch("CREATE TABLE IF NOT EXISTS t(x)")
                .map_err(|_| OpenError::Locked { path: PathBuf::new() })
        };
        Database::open(directory, "docs", &Options { queue, ..Options::default() }, schema).unwrap()
    }

    fn insert(connection: &Connection) -> Result<(), StoreError> {
        connection.execute("INSERT INTO t VALUES (1)", []).map(drop).map_err(crate::error::from_sqlite)
    }

    fn count(connection: &Connection) -> Result<i64, StoreError> {
        connection
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .map_err(crate::error::from_sqlite)
    }

    #[tokio::test]
    async fn a_failed_job_leaves_nothing_and_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(directory.path(), 8);
        let failing = database.write(|connection| insert(connection).and(Err::<(), _>(throttled())));
        let (good, failed, last) = tokio::join!(database.write(insert), failing, database.write(insert));
        assert_eq!((good, failed, last), (Ok(()), Err(throttled()), Ok(())));
        assert_eq!(database.read(count).await, Ok(2));
        assert!(database.read(insert).await.is_err(), "a reading connection cannot write");
    }

    /// A job that writes nothing and keeps the writing thread until the returned sender goes: what is asked for
    /// meanwhile is in its commit.
    fn hold() -> (mpsc::Sender<()>, impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static) {
        let (go, gone) = mpsc::channel::<()>();
        (go, move |_| gone.recv().map_err(|_| throttled()))
    }

    #[tokio::test]
    async fn the_first_jobs_of_a_commit_may_fail_and_the_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(directory.path(), 8);
        let (go, hold) = hold();
        let fail = |connection: &Connection| insert(connection).and(Err::<(), _>(throttled()));
        let nothing = |_: &Connection| Err::<(), _>(throttled());
        let (_, one, two, three, four, ()) = tokio::join!(
            database.write(hold),
            database.write(fail),
            database.write_statement(nothing),
            database.write_statement(insert),
            database.write(fail),
            async { drop(go) },
        );
        assert_eq!((one, two, three, four), (Err(throttled()), Err(throttled()), Ok(()), Err(throttled())));
        assert_eq!(database.read(count).await, Ok(1));
    }

    #[tokio::test]
    async fn a_lost_transaction_fails_the_whole_commit_and_not_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(directory.path(), 8);
        let (go, hold) = hold();
        let lose = |connection: &Connection| {
            insert(connection).map(|()| connection.execute_batch("ROLLBACK").unwrap())
        };
        let (_, one, two, three, four, ()) = tokio::join!(
            database.write(hold),
            database.write(insert),
            database.write_statement(lose),
            database.write_statement(insert),
            database.write(insert),
            async { drop(go) },
        );
        assert!([one, two, three, four].iter().all(Result::is_err));
        assert_eq!(database.read(count).await, Ok(0));
        assert_eq!(database.write(insert).await, Ok(()));
    }

    /// Longer than any read takes that need not wait for another.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn single_documents_are_read_while_every_reading_thread_is_busy_and_the_other_way_round() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(directory.path(), 8);
        // Each ends when the test lets go of its sender.
        let wait = || {
            let (go, gone) = mpsc::channel::<()>();
            let gone = Mutex::new(gone);
            (go, move |_: &Connection| Ok(gone.lock().unwrap().recv().is_err()))
        };
        {
            let (mut busy, mut going) = (Vec::new(), Vec::new());
            for _ in 0..READERS {
                let (go, job) = wait();
                going.push(go);
                busy.push(Box::pin(database.read(job)));
            }
            for busy in &mut busy {
                tokio::select! { biased; _ = busy => {}, () = std::future::ready(()) => {} }
            }
            assert_eq!(timeout(PATIENCE, database.read_point(count)).await, Ok(Ok(0)));
            drop(going);
            for busy in busy {
                assert_eq!(busy.await, Ok(true));
            }
        }
        thread::scope(|scope| {
            let mut going = Vec::new();
            loop {
                let (started, has_started) = mpsc::channel();
                let (go, job) = wait();
                let inline = move |connection: &Connection| {
                    started.send(()).unwrap();
                    job(connection)
                };
                let points = &database.points;
                let taken = scope.spawn(move || points.read(inline).is_none());
                match has_started.recv_timeout(PATIENCE) {
                    Ok(()) => going.push(go),
                    Err(ended) => {
                        assert_eq!(ended, mpsc::RecvTimeoutError::Disconnected, "it waits for a connection");
                        assert!(taken.join().unwrap());
                        break;
                    }
                }
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let database = &database;
            let (tell, told) = mpsc::channel();
            scope.spawn(move || tell.send(runtime.block_on(database.read_point(count))));
            assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(0)));
            drop(going);
        });
    }

    #[tokio::test]
    async fn a_full_queue_throttles_and_a_clean_close_leaves_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(directory.path(), 1);
        {
            let (go, wait) = mpsc::channel::<()>();
            let (started, has_started) = oneshot::channel();
            let mut blocked = std::pin::pin!(database.write(move |connection| {
                started.send(()).unwrap();
                wait.recv().unwrap();
                insert(connection)
            }));
            tokio::select! { biased; _ = &mut blocked => {}, _ = has_started => {} }
            let mut queued = std::pin::pin!(database.write(insert));
            tokio::select! { biased; _ = &mut queued => {}, () = std::future::ready(()) => {} }
            assert_eq!(database.write(insert).await, Err(throttled()));
            go.send(()).unwrap();
            assert_eq!((blocked.await, queued.await), (Ok(()), Ok(())));
        }
        drop(database);
        assert!(!directory.path().join("docs.db-wal").exists());
        assert_eq!(open(directory.path(), 1).read(count).await, Ok(2));
    }
}
