//! Starting, running and stopping the platform process.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use coder_config::Settings;
use coder_core::Ambient;
use coder_database::PlatformJob;
use coder_gateway::{Address, CircuitState, EdgeLayer, EdgeOptions, Gateway, RouteTable, Upstream};
use coder_handler::server::{api, metrics_response, run_chain};
use coder_handler::{Group, serve};
use coder_jobs::Schedule;
use coder_queue::Dispatcher;
use coder_startup::outbox::sweep;
use coder_startup::{Assembly, Providers, StartError};
use coder_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Layer as _;

use crate::denials::Denials;
use crate::documentation::Documentation;
use crate::host::{self, Host, Receiver};
use crate::timers::{Timer, Timers};

/// Longest time for an answer through the gateway to begin: that of its slowest group, and the way back.
const GATEWAY_DEADLINE: Duration = Duration::from_secs(235);

/// How often expired documents and messages are removed.
const EXPIRE_EVERY: Duration = Duration::from_mins(1);

/// What to start.
#[derive(Debug)]
pub struct Options {
    /// Settings.
    pub settings: Settings,
    /// Time and randomness.
    pub ambient: Ambient,
    /// The groups; usually [`crate::route_groups`].
    pub groups: Vec<Group>,
    /// Start only these; all, if empty.
    pub only: BTreeSet<String>,
}

/// A platform that listens.
#[derive(Debug)]
pub struct Platform {
    /// Where.
    pub address: SocketAddr,
    /// The groups and what they share.
    pub assembly: Arc<Assembly>,
    /// The timers.
    pub timers: Timers,
    dispatcher: Arc<Dispatcher>,
    host: Arc<Host>,
    denials: Arc<Denials>,
    containers: Vec<&'static str>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Platform {
    /// Listens, opens the providers, starts the groups. Returns once requests are answered.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_on(options, Providers::open).await
    }

    /// The same on providers that are opened otherwise. They have to have the embedded broker, which is the one that
    /// the local host delivers from.
    pub async fn start_on(
        options: Options,
        open: impl FnOnce(Settings, Ambient) -> Result<Providers, StartError>,
    ) -> Result<Self, StartError> {
        let Options { mut settings, ambient, groups, only } = options;
        check_only(&only, &groups)?;
        let groups: Vec<Group> =
            groups.into_iter().filter(|group| only.is_empty() || only.contains(group.name)).collect();
        let faults = coder_handler::manifest::faults(&groups);
        if !faults.is_empty() {
            return Err(StartError::Declaration(faults.join("; ")));
        }
        let listener = listen(settings.port).await?;
        let address = listener.local_addr().map_err(|error| StartError::Other(error.to_string()))?;
        follow_port(&mut settings, address);
        let declared = Declared::of(&groups, &settings);
        let providers = open(settings, ambient.clone())?;
        let broker = providers.local.as_ref().ok_or(StartError::NotLocal)?.broker.clone();

        let (store, publisher) = (providers.store.clone(), providers.publisher.clone());
        let (dispatcher, inbox) = Dispatcher::new(ambient.clone(), store, publisher);
        let dispatcher = Arc::new(dispatcher);
        let assembly = Arc::new(Assembly::start(providers, groups, dispatcher.clone()).await?);
        let lanes = host::lanes(&assembly.groups, &assembly.providers.settings)?;
        let host = Arc::new(Host::new(ambient.clone(), broker, lanes));
        let timers = Timers::new(ambient.clone(), declared.timers(&ambient, &assembly)?);

        let shutdown = CancellationToken::new();
        let denials = Arc::new(Denials::new(ambient, assembly.providers.publisher.clone()));
        let service = front(&assembly, &host, &denials, &declared)?;
        let mut tasks = JoinSet::new();
        let stopped = shutdown.clone().cancelled_owned();
        tasks.spawn(async move {
            if let Err(error) = serve(listener, service, stopped).await {
                tracing::error!(cause = %error, "serving ended");
            }
        });
        tasks.spawn(host.clone().run(shutdown.clone()));
        tasks.spawn(timers.clone().run(shutdown.clone()));
        let background = shutdown.clone();
        let mut spawn = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stop = background.clone();
            tasks.spawn(async move {
                tokio::select! { () = stop.cancelled() => {} () = work => {} }
            });
        };
        spawn(Box::pin(dispatcher.clone().run(inbox)));
        spawn(Box::pin(assembly.clone().keep_revocations()));
        let metrics = assembly.providers.metrics.clone();
        spawn(Box::pin(sweep(dispatcher.clone(), declared.containers.clone(), metrics)));
        spawn(Box::pin(expire(assembly.clone())));
        let containers = declared.containers;
        Ok(Self { address, assembly, timers, dispatcher, host, denials, containers, shutdown, tasks })
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The service of a group that runs here.
    pub fn service<S: Clone + 'static>(&self, group: &str) -> Option<S> {
        self.assembly.groups.iter().find(|running| running.name == group)?.service()
    }

    /// Waits until every event and job message that was recorded so far was delivered, its consequences
    /// included, except for what is to come later. For tests and for tools that must see the outcome.
    pub async fn settle(&self) {
        let job = PlatformJob::begin();
        loop {
            let before = self.host.finished();
            self.denials.settle().await;
            self.dispatcher.settle().await;
            self.host.settle().await;
            // What was delivered may have recorded something new.
            if self.host.finished() != before {
                continue;
            }
            // At last what the dispatcher was not told of: this reads every outbox.
            let mut tried = 0;
            for container in &self.containers {
                tried += self.dispatcher.sweep(&job, container).await.unwrap_or(0);
            }
            if tried == 0 {
                return;
            }
        }
    }

    /// Takes no new requests, finishes those that run, and ends the background work.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.denials.settle().await;
    }
}

async fn listen(port: u16) -> Result<TcpListener, StartError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .await
        .map_err(|cause| StartError::Listen { address: address.to_string(), cause })
}

/// On this machine alone, the public address is wherever the gateway listens.
fn follow_port(settings: &mut Settings, address: SocketAddr) {
    let local = settings.public_url.scheme() == "http" && settings.public_url.host_str() == Some("127.0.0.1");
    if local && settings.public_url.set_port(Some(address.port())).is_err() {
        tracing::warn!("the public address keeps its port");
    }
}

fn check_only(only: &BTreeSet<String>, groups: &[Group]) -> Result<(), StartError> {
    let known: Vec<&str> = groups.iter().map(|group| group.name).collect();
    match only.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(StartError::Other(format!(
            "there is no route group `{name}`; choose from {}",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

/// What must be known of the groups after they were started.
struct Declared {
    containers: Vec<&'static str>,
    schedules: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    documentation: Arc<Documentation>,
}

impl Declared {
    fn of(groups: &[Group], settings: &Settings) -> Self {
        let server = settings.public_url.as_str().trim_end_matches('/');
        Self {
            containers: groups.iter().flat_map(|group| group.containers.iter().map(|one| one.name)).collect(),
            schedules: groups.iter().map(|group| (group.name, group.timers.clone())).collect(),
            documentation: Arc::new(Documentation::of(groups, server)),
        }
    }

    fn timers(&self, ambient: &Ambient, assembly: &Assembly) -> Result<Vec<Timer>, StartError> {
        let client = host::client()?;
        let mut timers = Vec::new();
        for (group, schedules) in &self.schedules {
            let Some(running) = assembly.groups.iter().find(|one| one.name == *group) else { continue };
            let receiver = Receiver::of(running, &assembly.providers.settings, &client);
            for (name, schedule) in schedules {
                let schedule =
                    Schedule::parse(schedule).map_err(|error| StartError::Declaration(error.to_string()))?;
                timers.push(Timer::new(ambient, group, name, schedule, receiver.clone()));
            }
        }
        Ok(timers)
    }
}

/// Edge, request chain, gateway, and the platform's own pages beside it.
fn front(
    assembly: &Arc<Assembly>,
    host: &Arc<Host>,
    denials: &Arc<Denials>,
    declared: &Declared,
) -> Result<coder_gateway::Edge<Router>, StartError> {
    let settings = &assembly.providers.settings;
    let ambient = assembly.providers.ambient.clone();
    let mut faults = Vec::new();
    let gateway = Gateway::new(RouteTable::PLATFORM, ambient.clone(), |group| {
        if let Some(url) = settings.upstreams.get(group.name) {
            return match Address::try_from(url) {
                Ok(address) => Upstream::Remote(address),
                Err(error) => {
                    faults.push(format!("`CODER_UPSTREAM_{}`: {error}", group.name.to_uppercase()));
                    Upstream::Absent
                }
            };
        }
        let running = assembly.groups.iter().find(|running| running.name == group.name);
        running.map_or(Upstream::Absent, |running| Upstream::InProcess(api(running)))
    });
    if !faults.is_empty() {
        return Err(StartError::Other(faults.join("; ")));
    }
    let body_limit = RouteTable::PLATFORM.groups().map(|group| group.body_limit).max().unwrap_or_default();
    let body_limit = usize::try_from(body_limit).unwrap_or(usize::MAX);
    let chain = assembly.chain("gateway", body_limit, GATEWAY_DEADLINE);
    let (metrics, circuits, host) = (assembly.providers.metrics.clone(), gateway.clone(), host.clone());
    let health = assembly.providers.health.clone();
    let router = declared
        .documentation
        .routes()
        .route("/metrics", get(async move || measured(&circuits, &host, &metrics).await))
        .route("/health/ready", get(async move || health.answer().await))
        .fallback_service(gateway)
        .layer(from_fn_with_state(denials.clone(), Denials::watch))
        .layer(from_fn_with_state(chain, run_chain));
    let edge = EdgeLayer::new(EdgeOptions {
        ambient,
        origins: settings.allowed_origins.iter().cloned().collect(),
        trusted_proxies: settings.trusted_proxies.clone(),
        public_https: settings.public_url.scheme() == "https",
    });
    Ok(edge.layer(router))
}

/// The counters, with the circuits and the waiting messages as they stand now.
async fn measured(gateway: &Gateway, host: &Host, metrics: &Metrics) -> Response {
    host.measure(metrics).await;
    for (group, state) in gateway.states() {
        let state = match state {
            CircuitState::Closed => coder_telemetry::CircuitState::Closed,
            CircuitState::HalfOpen => coder_telemetry::CircuitState::HalfOpen,
            CircuitState::Open => coder_telemetry::CircuitState::Open,
        };
        metrics.circuit(group.name, state);
    }
    metrics_response(metrics)
}

/// The work of every minute.
async fn expire(assembly: Arc<Assembly>) {
    let mut pause = tokio::time::interval(EXPIRE_EVERY);
    loop {
        pause.tick().await;
        let Some(local) = &assembly.providers.local else { return };
        if let Some(store) = &local.store
            && let Err(error) = store.sweep().await
        {
            tracing::warn!(cause = %error, "expired documents could not be removed");
        }
        if let Err(error) = local.broker.sweep().await {
            tracing::warn!(cause = %error, "expired messages could not be put aside");
        }
    }
}
