//! Servers as processes of their own: what they cost is read from the kernel's account of them.

use std::fs::read_to_string;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

/// The kernel counts processor time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A running server; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where it listens; a server may have several addresses.
    pub(crate) urls: Vec<String>,
}

impl Process {
    /// Starts a server that prints `listening URL…` once it does.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut server = Self::spawn(command.stdout(Stdio::piped()), String::new())?;
        let output = server.child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let listens = lines.find_map(|line| line.strip_prefix("listening ").map(str::to_owned));
        let listens = listens.with_context(|| format!("{command:?} ended before it listened"))?;
        server.urls = listens.split(' ').map(str::to_owned).collect();
        // The rest is read, so that the process never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }

    /// Starts a server that does not say where it listens.
    pub(crate) fn spawn(command: &mut Command, url: String) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { child, urls: vec![url] })
    }

    /// This program, as one of the servers that are measured.
    pub(crate) fn own(role: &[&str]) -> anyhow::Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg("serve").args(role))
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// Processor time of the process and its children so far, in user and system mode.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let pid = self.child.id();
        let children = read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let mut total = cpu_of(pid)?;
        for child in children.split_whitespace() {
            total += cpu_of(child.parse()?)?;
        }
        Ok(total)
    }

    /// Memory that is in use by this process, in MiB.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A server with children ends them when it is asked to end, not when it is killed.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if asked.is_err() {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses and may have spaces.
    let (_, fields) = stat.rsplit_once(')').context("an unreadable stat")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || anyhow::Ok(fields.next().context("a short stat")?.parse::<u32>()?);
    Ok(TICK * (ticks()? + ticks()?))
}
