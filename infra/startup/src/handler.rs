//! The `main` of a route group's own binary: one process that the Functions host starts, serving one group.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use coder_config::{LogFormat, Settings};
use coder_core::Ambient;
use coder_gateway::RouteTable;
use coder_handler::Group;
use coder_handler::serve::{Limits, serve_with};
use coder_handler::server::surface;
use coder_queue::Dispatcher;
use coder_telemetry::Format;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::assembly::{Assembly, DEADLINE};
use crate::providers::{Providers, StartError};

/// Runs a group until the process is stopped. A fatal error is one line on standard error and a non-zero exit,
/// so that the host starts the process again.
pub fn main(group: Group) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Other(format!("the runtime cannot be made: {error}")))
        .and_then(|runtime| runtime.block_on(run(group)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be reading; the exit code says it all the same.
            writeln!(std::io::stderr(), "error: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(group: Group) -> Result<(), StartError> {
    let ambient = Ambient::system();
    let settings = Settings::load(Path::new(".")).map_err(|error| StartError::Other(error.to_string()))?;
    start_logging(&settings, &ambient)?;
    let port = settings.handler_port.unwrap_or(entry(group.name)?.port);
    // Bound first: the host asks every 25 ms whether anybody is there.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|cause| StartError::Listen { address: address.to_string(), cause })?;
    let stopped = async {
        // Without a signal handler the process is stopped the hard way, which is safe at any moment.
        tokio::signal::ctrl_c().await.ok();
    };
    serve_alone(group, settings, ambient, listener, stopped).await
}

/// Serves one group, and publishes what it records, until stopped. Delivering is the host's part, and so is to call
/// the timer that sweeps the outbox: the host may freeze this process between two calls.
pub async fn serve_alone(
    group: Group,
    settings: Settings,
    ambient: Ambient,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let (name, entry) = (group.name, entry(group.name)?);
    let providers = Providers::open(settings, ambient.clone())?;
    let (dispatcher, inbox) = Dispatcher::new(ambient, providers.store.clone(), providers.publisher.clone());
    let dispatcher = Arc::new(dispatcher);
    let assembly = Arc::new(Assembly::start(providers, vec![group], dispatcher.clone()).await?);
    // Aborted when this function ends.
    let mut background = JoinSet::new();
    background.spawn(assembly.clone().keep_revocations());
    background.spawn(dispatcher.run(inbox));
    let body_limit = usize::try_from(entry.body_limit).unwrap_or(usize::MAX);
    let (chain, health) = (assembly.chain(name, body_limit, DEADLINE), assembly.providers.health.clone());
    let Some(running) = assembly.groups.first() else { return Ok(()) };
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(group = name, address, "listening");
    let served = serve_with(Limits::BEHIND_HOST, listener, surface(running, chain, health), stopped).await;
    served.map_err(|cause| StartError::Other(format!("serving ended: {cause}")))
}

fn entry(name: &str) -> Result<&'static coder_gateway::Group, StartError> {
    let entry = RouteTable::PLATFORM.group(name);
    entry.ok_or_else(|| StartError::Declaration(format!("the route table has no group `{name}`")))
}

/// Starts logging as the settings say, to standard output: the host reads it line by line.
pub fn start_logging(settings: &Settings, ambient: &Ambient) -> Result<(), StartError> {
    let format = match settings.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    coder_telemetry::init(format, &settings.log_level, ambient.clone(), std::io::stdout)
        .map_err(|error| StartError::Other(error.to_string()))
}
