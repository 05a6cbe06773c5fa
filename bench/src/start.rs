//! How long a handler takes from its start to the first answer to an authenticated request, what memory it has then,
//! and how large it is, beside the Fastify service.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::clock::{now, percentile};
use crate::load::first_answer;
use crate::peers::{Fastify, free_port, mebibytes};
use crate::process::Process;
use crate::table::Table;
use crate::teams::{Site, text};

const STARTS: usize = 15;
/// Long enough for what a start leaves behind to be done.
pub(crate) const CALM: Duration = Duration::from_millis(500);
/// The master key of the settings for tests, as a variable has it.
pub(crate) const MASTER_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const START_MS: f64 = 15.0;
pub(crate) const MEMORY_MIB: f64 = 12.0;

/// A server's starts so far.
#[derive(Debug, Default)]
struct Starts {
    took: Vec<Duration>,
    memory: f64,
}

impl Starts {
    /// Starts the server, asks it, and ends it.
    async fn once(&mut self, mut command: Command, port: u16, site: &Site) -> anyhow::Result<()> {
        let begin = now();
        let server =
            Process::spawn(command.stdout(std::process::Stdio::null()), format!("http://127.0.0.1:{port}"))?;
        first_answer(server.url(), || site.read(0)).await?;
        self.took.push(begin.elapsed());
        tokio::time::sleep(CALM).await;
        self.memory = server.memory()?;
        Ok(())
    }

    fn median(&mut self) -> f64 {
        percentile(&mut self.took, 50).as_secs_f64() * 1e3
    }
}

/// Starts both in turn, on data that is there.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let binary = build(&[])?;
    let site = Site::whole(1).await?;
    let fastify = Fastify::find(&site.issuer());
    let peer_data = tempfile::tempdir()?;
    site.write_keys(peer_data.path()).await?;
    let peer_site = match &fastify {
        Ok(fastify) => Some(site.copied_to(fastify, peer_data.path()).await?),
        Err(_) => None,
    };
    let (mut ours, mut theirs) = (Starts::default(), Starts::default());
    for _ in 0..STARTS {
        let port = free_port()?;
        ours.once(handler(&binary, &site, port), port, &site).await?;
        if let (Ok(fastify), Some(site)) = (&fastify, &peer_site) {
            let port = free_port()?;
            theirs.once(fastify.service(peer_data.path(), port), port, site).await?;
        }
    }
    let (installed, why) = match &fastify {
        Ok(fastify) => (format!("{:.0} MiB besides Node", fastify.size()?), None),
        Err(why) => ((*why).to_owned(), Some(*why)),
    };
    let said = |text: String| why.map_or(text, str::to_owned);
    let (start, their_start) = (ours.median(), theirs.median());
    table
        .row("a handler's start to its first answer", format!("{start:.1} ms"))
        .beside(said(format!("Fastify {their_start:.0} ms")))
        .figure(start, " ms")
        .at_most(START_MS);
    table
        .row("memory of an idle handler", format!("{:.1} MiB", ours.memory))
        .beside(said(format!("Fastify {:.0} MiB", theirs.memory)))
        .figure(ours.memory, " MiB")
        .at_most(MEMORY_MIB);
    table.row("a handler on disk", format!("{:.1} MiB", mebibytes(&binary)?)).beside(installed);
    Ok(())
}

/// The handler of `users` as it stands alone and as it is released, wherever this program was built.
pub(crate) fn build(more: &[&str]) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("no directory")?;
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--release", "--package", "coder-users", "--bin", "coder-users"]);
    command.args(more).arg("--target-dir").arg(target).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    ensure!(command.status()?.success(), "the handler of `users` cannot be built");
    Ok(target.join("release/coder-users"))
}

fn handler(binary: &Path, site: &Site, port: u16) -> Command {
    let mut command = Command::new(binary);
    command
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
        .env("CODER_DATA_DIR", site.directory.path())
        .env("CODER_MASTER_KEY", MASTER_KEY)
        .env("CODER_STORE_SYNC", "full")
        .env("CODER_PUBLIC_URL", site.url())
        .env("CODER_UPSTREAM_AUTH", site.url())
        .env("CODER_LIMIT_ADDRESS_PER_MINUTE", "1000000")
        .current_dir(site.directory.path());
    command
}

impl Site {
    /// The same owners with teams of their own at the peer, whose servers are gone again afterwards.
    async fn copied_to(&self, fastify: &Fastify, data: &Path) -> anyhow::Result<Self> {
        let service = Process::start(&mut fastify.service(data, 0))?;
        let directory = tempfile::tempdir_in(text(data)?)?;
        let mut site =
            Self { processes: vec![service], tokens: self.tokens.clone(), teams: Vec::new(), directory };
        site.populate().await?;
        site.processes.clear();
        Ok(site)
    }
}
