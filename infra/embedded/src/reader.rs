//! The reading threads of a database in this process: a scan or a cold page never holds up the runtime.

use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

/// A job: it reads and answers.
pub(crate) type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Runs until every sender is gone and everything sent is done; the threads take turns at the queue.
pub(crate) fn run(connection: &Connection, jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(connection),
            Err(_) => return,
        }
    }
}
