//! The whole platform as a process of its own, which a test can kill at any moment and start again on the same data.
//!
//! A test drives it over HTTP. Beyond that it can only let time pass: the process takes orders on its standard input,
//! a line each, and answers each with a line. It logs everything to standard error, which a file keeps across starts.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use coder_config::Settings;
use coder_core::{Ambient, Clock, OsEntropy, SystemClock, Timestamp, UserId};
use coder_platform::Platform;
use jiff::SignedDuration;

use crate::client::Client;
use crate::platform::{self, Opening};

/// The file beside the data that has all that the process ever logged.
pub const LOG: &str = "process.log";

/// A clock that runs with the machine's, so many milliseconds away from it; clones share the distance.
#[derive(Debug, Clone)]
pub struct MovedClock(Arc<AtomicI64>);

impl MovedClock {
    /// A clock that shows `time` now, and goes on from there.
    pub fn at(time: Timestamp) -> Self {
        let distance = time.as_millisecond() - SystemClock.now().as_millisecond();
        Self(Arc::new(AtomicI64::new(distance)))
    }

    /// Moves the clock forward, or back by less than nothing.
    pub fn advance(&self, by: SignedDuration) {
        let milliseconds = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn distance(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Default for MovedClock {
    fn default() -> Self {
        Self::at(platform::start())
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock
            .now()
            .saturating_add(SignedDuration::from_millis(self.distance()))
            .unwrap_or(Timestamp::MAX)
    }
}

/// A running platform; dropped, it is killed.
#[derive(Debug)]
pub struct KillablePlatform {
    url: String,
    clock: MovedClock,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl KillablePlatform {
    /// Starts a binary whose `main` is [`run`] on the data in `directory`, and waits until it answers requests.
    pub fn start(executable: &str, directory: &Path, clock: &MovedClock, operators: &[UserId]) -> Self {
        Self::start_with(executable, directory, clock, operators, &[])
    }

    /// The same with groups that are at addresses of their own.
    pub fn start_with(
        executable: &str,
        directory: &Path,
        clock: &MovedClock,
        operators: &[UserId],
        upstreams: &[(&str, &str)],
    ) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(directory.join(LOG));
        let log = log.unwrap_or_else(|error| panic!("no file for the log: {error}"));
        let operators = operators.iter().map(ToString::to_string);
        let upstreams = upstreams.iter().map(|(group, url)| format!("{group}={url}"));
        let child = Command::new(executable)
            .arg(directory)
            .arg(clock.distance().to_string())
            .args(operators.chain(upstreams))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("`{executable}` does not start: {error}"));
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            panic!("the process has no pipes")
        };
        let (url, answers) = (String::new(), BufReader::new(answers));
        let mut started = Self { url, clock: clock.clone(), child, orders, answers };
        started.url = started.answer();
        started
    }

    /// A client without a credential.
    pub fn nobody(&self) -> Client {
        Client::at(&self.url)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sets the clock forward or back at once, in the middle of whatever is under way.
    pub fn jump(&mut self, by: SignedDuration) {
        self.order(&format!("jump {}", by.as_secs()));
        self.clock.advance(by);
    }

    /// `SIGKILL`: nothing is finished and nothing is cleaned up.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Waits until all recorded events and job messages that can be received now were delivered.
    pub fn settle(&mut self) {
        self.order("settle");
    }

    /// Lets time pass, as [`crate::TestPlatform::advance`] does it.
    pub fn advance(&mut self, by: SignedDuration) {
        self.order(&format!("advance {}", by.as_secs()));
        self.clock.advance(by);
    }

    fn order(&mut self, order: &str) {
        if let Err(error) = writeln!(self.orders, "{order}") {
            panic!("the process takes no orders: {error}");
        }
        assert_eq!(self.answer(), "done");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(1..) => line.trim().to_owned(),
            ended => panic!("the process ended: {ended:?}; its log has the cause"),
        }
    }
}

impl Drop for KillablePlatform {
    fn drop(&mut self) {
        self.kill();
    }
}

/// All that processes on this directory have logged.
pub fn logged(directory: &Path) -> String {
    std::fs::read_to_string(directory.join(LOG)).unwrap_or_default()
}

/// What the process does, with the arguments that [`KillablePlatform::start`] gives it.
pub async fn run(mut arguments: impl Iterator<Item = String>) {
    let (Some(directory), Some(Ok(distance))) = (arguments.next(), arguments.next().map(|text| text.parse()))
    else {
        panic!("a data directory and a distance from the machine's clock are wanted")
    };
    let (upstreams, operators): (Vec<String>, Vec<String>) = arguments.partition(|one| one.contains('='));
    let operators: Result<BTreeSet<UserId>, _> = operators.iter().map(|id| id.parse()).collect();
    let operators = operators.unwrap_or_else(|error| panic!("no user id: {error}"));
    let upstreams = upstreams.iter().filter_map(|one| {
        let (group, url) = one.split_once('=')?;
        Some((group.to_owned(), url.parse().ok()?))
    });
    let settings =
        Settings { upstreams: upstreams.collect(), ..settings(&PathBuf::from(directory), operators) };
    let clock = MovedClock(Arc::new(AtomicI64::new(distance)));
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let format = coder_telemetry::Format::Json;
    if let Err(error) = coder_telemetry::init(format, &settings.log_level, ambient.clone(), std::io::stderr) {
        panic!("nothing can be logged: {error}");
    }
    let running = start(&Opening::default(), &settings, &clock).await;
    answer(&running.url());
    obey(&running, &clock).await;
    running.stop().await;
}

/// The settings of such a process.
pub fn settings(directory: &Path, operators: BTreeSet<UserId>) -> Settings {
    Settings {
        operators,
        log_level: "debug".to_owned(),
        // Tokens name their issuer, which follows the port unless it is set.
        public_url: url::Url::parse("http://coder.example.com")
            .unwrap_or_else(|error| panic!("no address: {error}")),
        ..platform::settings(directory)
    }
}

/// The platform of such a process.
pub async fn start(opening: &Opening, settings: &Settings, clock: &MovedClock) -> Platform {
    let running = platform::process(opening, settings, clock).await;
    platform::install_signing_key(&running).await;
    running
}

/// Lets time pass in such a process, as [`crate::TestPlatform::advance`] does it.
pub async fn advance(running: &Platform, clock: &MovedClock, by: SignedDuration) {
    platform::advance(running, || clock.advance(by)).await;
}

/// Takes orders until the test has closed its end, or is gone.
async fn obey(running: &Platform, clock: &MovedClock) {
    loop {
        let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await;
        let Ok(Some(Ok(line))) = line else { return };
        if let Some(seconds) = line.strip_prefix("advance ").and_then(|text| text.parse().ok()) {
            advance(running, clock, SignedDuration::from_secs(seconds)).await;
        } else if let Some(seconds) = line.strip_prefix("jump ").and_then(|text| text.parse().ok()) {
            clock.advance(SignedDuration::from_secs(seconds));
        } else {
            running.settle().await;
        }
        answer("done");
    }
}

fn answer(line: &str) {
    let mut output = std::io::stdout().lock();
    // Without a reader the test is gone, and the end of the orders ends the process.
    writeln!(output, "{line}").and_then(|()| output.flush()).ok();
}
