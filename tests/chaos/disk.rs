//! A small disk that the platform has to itself, which a test can fill to its last byte: a file system in memory,
//! mounted where nobody but the storm sees it.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Tells the storm where its disk is.
const VARIABLE: &str = "CODER_CHAOS_DISK";

/// What the storm leaves on it, by far, and what each kill adds.
const MEGABYTES: usize = 64;
const MEGABYTES_A_KILL: usize = 4;

/// Who may mount: the system's administrator, or anybody within a world of their own.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// The storm's disk.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// The disk that this process was started on.
    #[expect(clippy::disallowed_methods, reason = "a process that is started again has no other way to know")]
    pub(crate) fn mounted() -> Option<Self> {
        std::env::var_os(VARIABLE).map(|path| Self(path.into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let error = loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Gives the room back, if it was taken.
    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.ballast()).ok();
    }

    /// Copies the data to where it outlives the storm.
    pub(crate) fn keep(&self) -> PathBuf {
        let kept = std::env::temp_dir().join(format!("storm-{}", std::process::id()));
        Command::new("cp").arg("-r").args([&self.0, &kept]).status().unwrap();
        kept
    }
}

/// Runs a test of this binary again on such a disk; no, where none can be mounted.
pub(crate) fn again_on_one(test: &str, kills: usize) -> bool {
    let place = TempDir::new().unwrap();
    let options = format!("size={}m", MEGABYTES + MEGABYTES_A_KILL * kills);
    let script = format!("mount -t tmpfs -o {options} tmpfs \"$0\" && exec \"$@\"");
    let on_it = |way: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(way).args(["sh", "-c", &script]).arg(place.path()).env(VARIABLE, place.path());
        command
    };
    let Some(way) =
        WAYS.into_iter().find(|way| on_it(way).arg("true").status().is_ok_and(|one| one.success()))
    else {
        return false;
    };
    let status =
        on_it(way).arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).status();
    assert!(status.unwrap().success(), "the storm on its own disk failed");
    true
}
