//! A real `redis-server` of one test, on a socket in a temporary directory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use coder_azure::redis::{Redis, RedisOptions};
use coder_core::Ambient;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

/// Tests wait for answers, not for time to pass: a busy machine is no fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server; it ends with the test.
#[derive(Debug)]
pub(crate) struct Server {
    directory: TempDir,
    arguments: Vec<String>,
    process: Child,
}

/// Says that something was not tested for want of a program; in `CI` that is a fault.
pub(crate) fn missing(program: &str, package: &str) {
    // Past the harness, which would keep it to itself.
    let words = format!("NOT TESTED: there is no `{program}`; apt-get install {package}\n");
    std::io::stderr().write_all(words.as_bytes()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test has no settings")]
    let ci = std::env::var_os("CI").is_some();
    assert!(!ci, "`{program}` is needed here: apt-get install {package}");
}

impl Server {
    /// Starts one; `None` where the program is missing.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Option<Self> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let process = launch(&directory, &arguments)?;
        Some(Self { directory, arguments, process })
    }

    /// Ends the server without a word to anybody.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same socket, empty.
    pub(crate) fn restart(&mut self) {
        self.process = launch(&self.directory, &self.arguments).unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}/socket", self.directory.path().display())
    }

    /// What the platform would use; every call is another process of it.
    pub(crate) fn redis(&self, ambient: &Ambient) -> Redis {
        self.redis_as(None, ambient)
    }

    pub(crate) fn redis_as(&self, credential: Option<Arc<dyn TokenCredential>>, ambient: &Ambient) -> Redis {
        let options = RedisOptions { patience: PATIENCE, ..RedisOptions::new(self.url()) };
        Redis::new(options, credential, ambient.clone()).unwrap()
    }

    /// A connection that may do everything.
    pub(crate) async fn admin(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn launch(directory: &TempDir, arguments: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--save", "", "--appendonly", "no", "--unixsocket", "socket", "--port", "0"]);
    command.args(arguments).current_dir(directory.path()).stdout(Stdio::piped());
    let Ok(mut process) = command.spawn() else {
        missing("redis-server", "redis-server");
        return None;
    };
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.any(|line| line.contains("eady to accept connections"));
    assert!(ready, "redis-server ended at once");
    // Read on, or the server would stop when the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    Some(process)
}
