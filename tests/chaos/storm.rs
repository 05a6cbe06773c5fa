//! Rounds of work, each with a fault of its own and a kill at its end, and the quiet after them. From the twenty-first
//! round on, faults coincide.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coder_core::Clock as _;
use coder_testkit::{KillablePlatform, MovedClock};
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::check::{Faults, check};
use crate::clients::{Desk, Manners};
use crate::company::Company;
use crate::disk::Disk;
use crate::faults;
use crate::observe::{observe, under_way};

/// The longest that the platform may go without acknowledging anything, once a fault has passed.
const RECOVERY: Duration = Duration::from_mins(1);

/// Clients wait longer for an answer than the platform waits for a lock on a file.
const PATIENT: Manners = Manners { patience: Duration::from_secs(20), asks_again: true };

/// When a group is known never to answer, they turn to others, though not before the lock on a file is given up.
const HASTY: Manners = Manners { patience: Duration::from_secs(10), asks_again: false };

/// Minutes after the storm until everything must have settled.
const EVENING: usize = 90;

/// What goes wrong in a round before the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// Somebody else has SQLite's lock on one of the files.
    Locked(&'static str),
    /// Somebody else has the turn to write, and never gives it back.
    TurnTaken,
    /// The disk has no byte left; then it has room again, unless the kill comes first.
    DiskFull {
        recovers: bool,
    },
    /// The clock goes forward or back under load.
    ClockJumps(i64),
    /// A group takes requests and deliveries and never answers.
    Hangs(&'static str),
}

/// The troubles of twenty rounds.
const TROUBLES: [Trouble; 20] = [
    Trouble::None,
    Trouble::DiskFull { recovers: true },
    Trouble::None,
    Trouble::ClockJumps(170),
    Trouble::Hangs("notifications"),
    Trouble::None,
    Trouble::Locked("docs.db"),
    Trouble::None,
    Trouble::DiskFull { recovers: false },
    Trouble::ClockJumps(-95),
    Trouble::None,
    Trouble::Hangs("logging"),
    Trouble::None,
    Trouble::TurnTaken,
    Trouble::None,
    Trouble::None,
    Trouble::Locked("queue.db"),
    Trouble::ClockJumps(400),
    Trouble::DiskFull { recovers: true },
    Trouble::None,
];

/// What goes wrong at the same time.
#[derive(Debug, Clone, Copy, Default)]
struct Besides {
    hangs: Option<&'static str>,
    clock_jumps: Option<i64>,
}

/// The place of the story.
struct Storm {
    began: std::time::Instant,
    disk: Option<Disk>,
    directory: TempDir,
    clock: MovedClock,
    company: Company,
    desk: Arc<Desk>,
    state: u64,
}

/// Kills the platform so often, and says what is wrong afterwards.
pub(crate) async fn rage(kills: usize, disk: Option<Disk>) -> Faults {
    let began = std::time::Instant::now();
    let directory = disk.as_ref().map_or_else(TempDir::new, |disk| TempDir::new_in(disk.path())).unwrap();
    let clock = MovedClock::default();
    let first = start(&directory, &clock, None, &[]);
    let company = Company::found(&first).await;
    drop(first);
    let mut storm = Storm { began, disk, directory, clock, company, desk: Arc::default(), state: 20_260_105 };
    for round in 0..kills {
        let besides = if round < TROUBLES.len() { Besides::default() } else { storm.besides() };
        storm.round(TROUBLES[round % TROUBLES.len()], besides).await;
    }
    storm.calm().await
}

fn start(
    directory: &TempDir,
    clock: &MovedClock,
    company: Option<&Company>,
    upstreams: &[(&str, &str)],
) -> KillablePlatform {
    let operators = company.map(Company::operators).unwrap_or_default();
    let executable = env!("CARGO_BIN_EXE_killable-platform");
    KillablePlatform::start_with(executable, directory.path(), clock, &operators, upstreams)
}

/// Waits for so many more.
async fn more(counter: &watch::Sender<usize>, count: usize, what: &str) {
    let mut counter = counter.subscribe();
    let wanted = *counter.borrow() + count;
    let came = timeout(RECOVERY, counter.wait_for(|now| *now >= wanted)).await.is_ok();
    assert!(came, "{what}: {count} were awaited and {} came", *counter.borrow() + count - wanted);
}

impl Besides {
    /// Groups hang from the start; the clock jumps while everything else is wrong.
    fn happen(self, process: &mut KillablePlatform) {
        self.clock_jumps.into_iter().for_each(|seconds| process.jump(SignedDuration::from_secs(seconds)));
    }
}

impl Storm {
    /// A number below the bound; the same numbers at every run, though the work between them never is the same.
    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 31)) % below
    }

    /// In one round of three a group hangs, in one of two the clock jumps.
    fn besides(&mut self) -> Besides {
        let hangs = ["notifications", "logging", "secrets"];
        let jumps = [170, -95, 400];
        let mut one_of = |all: u64| usize::try_from(self.random(all)).unwrap();
        Besides { hangs: hangs.get(one_of(9)).copied(), clock_jumps: jumps.get(one_of(6)).copied() }
    }

    /// Time passes between two processes: sometimes none, sometimes more than a lock lasts, sometimes it goes back.
    fn pass_time(&mut self) {
        let seconds = [0, 20, 70, 250, -40][usize::try_from(self.random(5)).unwrap()];
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn acknowledged(&self, count: u64, after: &str) {
        let count = usize::try_from(count).unwrap();
        more(&self.desk.acknowledged, count, &format!("acknowledgements {after}")).await;
    }

    async fn round(&mut self, trouble: Trouble, besides: Besides) {
        let (seconds, count) = (self.began.elapsed().as_secs(), *self.desk.acknowledged.borrow());
        say(&format!("{seconds:>4} s, {count:>5} acknowledged: {trouble:?}, {besides:?}"));
        self.pass_time();
        let silence = faults::silence().await;
        let hangs = if let Trouble::Hangs(group) = trouble { Some(group) } else { None };
        let upstreams: BTreeMap<&str, &str> =
            hangs.into_iter().chain(besides.hangs).map(|group| (group, silence.as_str())).collect();
        let upstreams = Vec::from_iter(upstreams);
        let mut process = start(&self.directory, &self.clock, Some(&self.company), &upstreams);
        let manners = if upstreams.is_empty() { PATIENT } else { HASTY };
        let crowd = self.desk.open_for(&process, &self.company.key, manners);
        let some = self.random(12) + 4;
        self.acknowledged(some, "at the start").await;
        self.suffer(trouble, besides, &mut process).await;
        process.kill();
        self.disk.iter().for_each(Disk::clear);
        // Each stops at its first request that finds nobody.
        crowd.join_all().await;
    }

    async fn suffer(&mut self, trouble: Trouble, besides: Besides, process: &mut KillablePlatform) {
        let some = self.random(15) + 1;
        match trouble {
            Trouble::None | Trouble::Hangs(_) => {
                besides.happen(process);
                self.acknowledged(some, "in peace").await;
            }
            Trouble::Locked(file) => {
                let lock = faults::lock_file(&self.file(file));
                besides.happen(process);
                if file == "docs.db" {
                    // Nobody writes, and everybody can still read.
                    let reader = process.nobody().with_api_key(&self.company.key);
                    reader.get("/api/users/projects?limit=1").await.expect(200);
                    more(&self.desk.refused, 1, "refusals while the store is locked").await;
                } else {
                    self.acknowledged(some, "while the messages are locked").await;
                }
                drop(lock);
                self.acknowledged(some, "after the lock").await;
            }
            Trouble::TurnTaken => {
                let turn = faults::take_turn(&self.file("docs.wlock"));
                besides.happen(process);
                self.acknowledged(some, "while another has the turn").await;
                drop(turn);
                self.acknowledged(some, "after the turn").await;
            }
            Trouble::DiskFull { recovers } => self.fill_the_disk(recovers, besides, process).await,
            Trouble::ClockJumps(seconds) => {
                besides.happen(process);
                process.jump(SignedDuration::from_secs(seconds));
                self.acknowledged(some, "after the jump").await;
            }
        }
    }

    /// Nothing can be written, which is said as such; everything can still be read.
    async fn fill_the_disk(&self, recovers: bool, besides: Besides, process: &mut KillablePlatform) {
        let Some(disk) = &self.disk else { return };
        self.desk.refusals().clear();
        disk.fill();
        besides.happen(process);
        more(&self.desk.refused, 10, "refusals while the disk is full").await;
        let refusals = self.desk.refusals().clone();
        assert!(refusals.contains("503 unavailable"), "a full disk is answered {refusals:?}");
        let reader = process.nobody().with_api_key(&self.company.key);
        reader.get("/api/users/projects?limit=1").await.expect(200);
        if recovers {
            disk.clear();
            self.acknowledged(20, "after the disk had room again").await;
        }
    }

    /// The storm is over: everything is answered, delivered and done; then the books are compared.
    async fn calm(mut self) -> Faults {
        self.clock.advance(SignedDuration::from_mins(5));
        let mut process = start(&self.directory, &self.clock, Some(&self.company), &[]);
        self.desk.finish(&process, &self.company.key).await;
        say(&format!("{:>4} s: all is acknowledged", self.began.elapsed().as_secs()));
        for minute in 0..EVENING {
            process.advance(SignedDuration::from_mins(1));
            self.company.sign_in(&process).await;
            let open = under_way(&self.company, self.clock.now()).await;
            if open.is_empty() {
                break;
            }
            assert!(minute + 1 < EVENING, "still under way: {open:#?}");
        }
        say(&format!("{:>4} s: all is quiet", self.began.elapsed().as_secs()));
        let seen = observe(&self.company, self.clock.now()).await;
        say(&format!("{:>4} s: all is read", self.began.elapsed().as_secs()));
        let ledger = self.desk.ledger().clone();
        say(&format!(
            "{} things acknowledged, {} there, {} audit entries, {} messages, {} exports",
            ledger.things.len(),
            seen.things.len(),
            seen.entries.len(),
            ledger.certain(crate::ledger::Kind::Message),
            seen.exports.len(),
        ));
        let faults = check(&ledger, &seen);
        if !faults.is_empty() {
            let kept = self.disk.map_or_else(|| self.directory.keep(), |disk| disk.keep());
            say(&format!("the data is kept in {}", kept.display()));
        }
        faults
    }
}

#[expect(clippy::print_stderr, reason = "whoever runs the test must know what it did")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Says past the harness, which would keep it to itself, that something cannot be tried on this machine.
pub(crate) fn not_tried(what: &str, why: &str) {
    let words = format!("NOT TRIED: {what}, because {why}\n");
    std::io::stderr().write_all(words.as_bytes()).unwrap();
}
