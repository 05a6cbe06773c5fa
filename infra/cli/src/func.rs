//! `coder dev --func`: every group as its function app under the real Functions host, one `func` a group.
//!
//! The hosts serve HTTP alone, behind the gateway of this process. Events and timers stay with the local host here,
//! on the same data: the real one would need Service Bus and a storage account for them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use coder_cli::package::{self, Package, Profile};
use coder_config::{LOCAL_SETTINGS_FILE, Settings};
use coder_core::Ambient;
use coder_gateway::RouteTable;
use coder_platform::{Options, Platform, route_groups};
use tokio::sync::mpsc;

use crate::signals::StopSignals;
use crate::terminal;

/// The Functions host's command.
const FUNC: &str = "func";

/// How long a host may take until it answers: on its very first start it loads its extensions.
const START: Duration = Duration::from_mins(2);

/// How long the hosts may take to stop before they are killed.
const STOP: Duration = Duration::from_secs(10);

/// Starts the gateway, the local host for events and timers, and a `func` for each of these groups.
pub(crate) async fn run(settings: Settings, only: Vec<String>, stop: &mut StopSignals) -> anyhow::Result<()> {
    let version = installed()?;
    let apps = assemble(&settings, only).await?;
    let addresses: BTreeMap<String, String> = apps.iter().map(address).collect::<anyhow::Result<_>>()?;
    let front = front(settings.clone(), &addresses).await?;
    let local = local(settings.clone(), &front, &apps).await?;

    let (ends, mut ended) = mpsc::channel(apps.len().max(1));
    let mut hosts = Vec::new();
    for app in &apps {
        let command = host(app, &settings, &front.url(), &addresses)?;
        hosts.push(Host::start(app.group, command, ends.clone())?);
    }
    let ready = async {
        for url in addresses.values() {
            answers(url).await?;
        }
        greet(&front, &addresses, &version);
        std::future::pending::<anyhow::Result<()>>().await
    };
    let outcome = tokio::select! {
        () = stop.requested() => Ok(()),
        failed = ready => failed,
        Some(group) = ended.recv() => bail!("the host of `{group}` has ended; its lines above say why"),
    };
    terminal::line("stopping: finishing what runs");
    hosts.iter().for_each(Host::interrupt);
    let all = async {
        for _ in &hosts {
            ended.recv().await;
        }
    };
    tokio::time::timeout(STOP, all).await.ok();
    drop(hosts);
    front.stop().await;
    local.stop().await;
    outcome
}

/// A running `func`; dropped, it is killed.
struct Host(Child);

impl Host {
    /// Starts it and shows what it says. When it says no more, it has ended, and `ends` is told.
    fn start(
        group: &'static str,
        mut command: Command,
        ends: mpsc::Sender<&'static str>,
    ) -> anyhow::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("`{FUNC}` does not start"))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        std::thread::spawn(move || shown(group, err));
        std::thread::spawn(move || {
            shown(group, out);
            // Nobody listens any more once everything stops.
            ends.blocking_send(group).ok();
        });
        Ok(Self(child))
    }

    /// Asks it to stop as Ctrl-C does, so that it takes its handler along.
    #[cfg(unix)]
    fn interrupt(&self) {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().ok();
    }

    /// Ctrl-C has reached it already: it shares the terminal.
    #[cfg(not(unix))]
    fn interrupt(&self) {}
}

impl Drop for Host {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn shown(group: &str, output: Option<impl Read>) {
    let Some(output) = output else { return };
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        terminal::line(&format!("{group:<14} {line}"));
    }
}

/// The version of the Functions tools, or how to get them.
fn installed() -> anyhow::Result<String> {
    let tried = Command::new(FUNC).arg("--version").stdin(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        _ => bail!(
            "`{FUNC}` cannot be run: install the Azure Functions Core Tools, \
             `npm install --global azure-functions-core-tools@4`. Without them, `coder dev` runs every group in this \
             process"
        ),
    }
}

/// The apps, in the data directory, with handlers for this machine.
async fn assemble(settings: &Settings, groups: Vec<String>) -> anyhow::Result<Vec<Package>> {
    let options = package::Options {
        project: PathBuf::from("."),
        groups,
        out: settings.data_dir.join("func"),
        profile: Profile::named("dev"),
        skip_build: false,
        azure: false,
        archive: false,
    };
    tokio::task::spawn_blocking(move || package::package(&options, |_| {})).await?
}

/// Where a group's host is to listen.
fn address(app: &Package) -> anyhow::Result<(String, String)> {
    let entry = RouteTable::PLATFORM.group(app.group);
    let port = entry.with_context(|| format!("the route table has no group `{}`", app.group))?.port;
    Ok((app.group.to_owned(), format!("http://127.0.0.1:{port}")))
}

/// The gateway alone; every group is at an address.
async fn front(mut settings: Settings, addresses: &BTreeMap<String, String>) -> anyhow::Result<Platform> {
    for (group, address) in addresses {
        settings.upstreams.insert(group.clone(), address.parse()?);
    }
    let options = Options { settings, ambient: Ambient::system(), groups: Vec::new(), only: [].into() };
    Ok(Platform::start(options).await?)
}

/// The groups in this process, for events and timers; nobody is told of its port.
async fn local(mut settings: Settings, front: &Platform, apps: &[Package]) -> anyhow::Result<Platform> {
    settings.port = 0;
    // Links in mail lead to the gateway. An address by name is not moved to this platform's own port.
    if settings.public_url.host_str() == Some("127.0.0.1") {
        settings.public_url = format!("http://localhost:{}", front.address.port()).parse()?;
    }
    let only = apps.iter().map(|app| app.group.to_owned()).collect();
    let options = Options { settings, ambient: Ambient::system(), groups: route_groups(), only };
    Ok(Platform::start(options).await?)
}

/// The command that starts an app's host.
fn host(
    app: &Package,
    settings: &Settings,
    public_url: &str,
    addresses: &BTreeMap<String, String>,
) -> anyhow::Result<Command> {
    let absolute =
        |path: &Path| std::path::absolute(path).with_context(|| format!("cannot find `{}`", path.display()));
    let own = addresses.get(app.group).and_then(|url| url.rsplit(':').next()).unwrap_or_default();
    if Path::new(LOCAL_SETTINGS_FILE).is_file() {
        std::fs::copy(LOCAL_SETTINGS_FILE, app.folder.join(LOCAL_SETTINGS_FILE))
            .with_context(|| format!("cannot copy `{LOCAL_SETTINGS_FILE}`"))?;
    }
    let mut command = Command::new(FUNC);
    command
        .args(["start", "--port", own, "--functions", coder_handler::app::HTTP])
        .current_dir(absolute(&app.folder)?)
        .env("FUNCTIONS_WORKER_RUNTIME", "custom")
        // The project's file may name the whole platform as the handler; a variable wins.
        .env("AzureFunctionsJobHost__customHandler__description__defaultExecutablePath", "handler")
        .env("CODER_DATA_DIR", absolute(&settings.data_dir)?)
        .env("CODER_PUBLIC_URL", public_url)
        .stdin(Stdio::null());
    for (group, address) in addresses {
        command.env(format!("CODER_UPSTREAM_{}", group.to_uppercase()), address);
    }
    Ok(command)
}

/// Waits until anything is answered.
async fn answers(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let mut pause = tokio::time::interval(Duration::from_millis(250));
    let asking = async {
        while client.get(url).send().await.is_err() {
            pause.tick().await;
        }
    };
    let waited = tokio::time::timeout(START, asking).await;
    waited.with_context(|| format!("the host at {url} does not answer; its lines above say why"))
}

fn greet(front: &Platform, addresses: &BTreeMap<String, String>, version: &str) {
    let url = front.url();
    terminal::line(&format!("ready {url}"));
    terminal::line("");
    for (group, address) in addresses {
        terminal::line(&format!("  {group:<14} {url}/api/{group}  under func {version} at {address}"));
    }
    terminal::line("");
    terminal::line("  events and timers are delivered by this process");
    terminal::line("");
    terminal::line("Ctrl-C stops it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_knows_its_port_its_data_and_the_other_groups() {
        let directory = tempfile::tempdir().unwrap();
        let app = |group| Package {
            group,
            folder: directory.path().join("func").join(group),
            archive: None,
            bytes: 0,
            functions: Vec::new(),
            glibc: None,
        };
        let addresses: BTreeMap<_, _> =
            [app("auth"), app("users")].iter().map(|app| address(app).unwrap()).collect();
        let settings = Settings::for_tests(directory.path());
        let command = host(&app("users"), &settings, "http://127.0.0.1:3001", &addresses).unwrap();
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["start", "--port", "3023", "--functions", "http"]);
        assert_eq!(command.get_current_dir(), Some(directory.path().join("func/users").as_path()));
        let variable = |name: &str| {
            let found = command.get_envs().find(|(key, _)| *key == name);
            found.and_then(|(_, value)| value?.to_str().map(str::to_owned))
        };
        assert_eq!(variable("FUNCTIONS_WORKER_RUNTIME").as_deref(), Some("custom"));
        assert_eq!(variable("CODER_UPSTREAM_AUTH").as_deref(), Some("http://127.0.0.1:3022"));
        assert_eq!(variable("CODER_DATA_DIR").as_deref(), directory.path().to_str());
    }
}
