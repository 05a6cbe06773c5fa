//! The lock file beside a database. SQLite's own lock keeps the file safe; this one makes processes take turns,
//! which SQLite's does not. The kernel frees it when a process dies.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// An open lock file, not necessarily locked.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
    /// Also held by the thread that waits for the lock, as long as there is one.
    waiting: Arc<()>,
}

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a File);

impl LockFile {
    /// Opens the lock file, making it if need be.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        Ok(Self { file, waiting: Arc::default() })
    }

    /// Waits for the lock, at most so long; `None` then. The kernel has no such wait, hence the thread, which
    /// gives the lock back at once if nobody waits for it any more. Whoever asks while it still waits in vain gets
    /// `None` at once, so that a lock that is never given back costs one thread and one wait.
    pub(crate) fn lock_within(&self, limit: Duration) -> io::Result<Option<Held<'_>>> {
        if self.file.try_lock().is_ok() {
            return Ok(Some(Held(&self.file)));
        }
        if Arc::strong_count(&self.waiting) > 1 {
            return Ok(None);
        }
        // The copy shares the lock with the original.
        let (file, waiting) = (self.file.try_clone()?, Arc::clone(&self.waiting));
        let (tell, told) = mpsc::sync_channel(0);
        thread::Builder::new().name("coder-lock".into()).spawn(move || {
            let locked = file.lock();
            let wanted = locked.is_ok();
            if tell.send(locked).is_err() && wanted {
                drop(file.unlock());
            }
            drop(waiting);
        })?;
        match told.recv_timeout(limit) {
            Ok(locked) => locked.map(|()| Some(Held(&self.file))),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Err(cause) = self.0.unlock() {
            tracing::warn!(%cause, "the lock file cannot be unlocked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wlock");
        let (one, other) = (LockFile::open(&path).unwrap(), LockFile::open(&path).unwrap());
        let wait = Duration::from_millis(10);
        let held = one.lock_within(wait).unwrap();
        assert!(held.is_some() && other.lock_within(wait).unwrap().is_none());
        // The second wait is over at once, however long it may last.
        assert!(other.lock_within(Duration::from_hours(1)).unwrap().is_none());
        drop(held);
        assert!(LockFile::open(&path).unwrap().lock_within(Duration::from_secs(5)).unwrap().is_some());
    }
}
