//! The servers of ours that are measured, each a process of its own: this program starts itself as one of them.
#![expect(clippy::print_stdout, reason = "a server says where it listens")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use clap::Subcommand;
use coder_config::{Settings, StoreSync};
use coder_core::Ambient;
use coder_database::Container;
use coder_gateway::{Address, EdgeLayer, EdgeOptions, Gateway, RouteTable, Upstream};
use coder_handler::serve::{Limits, serve_with};
use coder_handler::server::surface;
use coder_handler::{Group, RouteGroup, Routes, serve};
use coder_middleware::{Example, Json, SignedIn, State};
use coder_platform::{Options, Platform};
use coder_startup::handler::{serve_alone, start_logging};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;
use tower::Layer as _;
use url::Url;

use crate::scratch::settings;

/// One of the names that the route table has; nothing of the real group is used.
const GROUP: &str = "calendar";
/// The largest body of a handler that takes none.
const BODY_LIMIT: usize = 1 << 20;

/// Which server to be.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Gateway, `auth` and `users` in one process; and at a second address a handler with its chain alone.
    Platform { data: PathBuf },
    /// The same with `users` at another address.
    Gateway { data: PathBuf, users: Url },
    /// The handler of `users` behind a gateway.
    Handler { data: PathBuf, port: u16, gateway: Url },
    /// Edge and gateway without the chain, before a handler.
    Hop { handler: Url },
    /// A handler without anything around it.
    Bare,
}

/// Serves until killed.
pub(crate) async fn run(role: Role) -> anyhow::Result<()> {
    match role {
        Role::Platform { data } => platform(durable(&data)).await,
        Role::Gateway { data, users } => {
            let upstreams = BTreeMap::from([("users".to_owned(), users)]);
            platform(Settings { upstreams, ..durable(&data) }).await
        }
        Role::Handler { data, port, gateway } => handler(&data, port, gateway).await,
        Role::Hop { handler } => hop(&handler).await,
        Role::Bare => {
            let listener = listen(0).await?;
            println!("listening {}", url(&listener)?);
            let bare = async || axum::Json(Answer::example());
            Ok(axum::serve(listener, Router::new().route("/api/calendar/answer", get(bare))).await?)
        }
    }
}

/// What survives a power cut, as the peer has it.
fn durable(data: &Path) -> Settings {
    Settings { store_sync: StoreSync::Full, ..settings(data) }
}

async fn platform(settings: Settings) -> anyhow::Result<()> {
    let ambient = Ambient::system();
    start_logging(&settings, &ambient)?;
    // Without the groups that take every event, since the peer has none either.
    let groups = vec![coder_auth::route_group(), coder_users::route_group(), group()];
    let platform = Platform::start(Options { settings, ambient, groups, only: BTreeSet::new() }).await?;
    let assembly = &platform.assembly;
    let running = assembly.groups.iter().find(|running| running.name == GROUP).context("no such group")?;
    let chain = assembly.chain(GROUP, BODY_LIMIT, coder_startup::assembly::DEADLINE);
    let alone = surface(running, chain, assembly.providers.health.clone());
    let listener = listen(0).await?;
    println!("listening {} {}", platform.url(), url(&listener)?);
    Ok(serve_with(Limits::BEHIND_HOST, listener, alone, pending()).await?)
}

async fn handler(data: &Path, port: u16, gateway: Url) -> anyhow::Result<()> {
    let upstreams = BTreeMap::from([("auth".to_owned(), gateway.clone())]);
    let settings = Settings { public_url: gateway, upstreams, ..durable(data) };
    let ambient = Ambient::system();
    start_logging(&settings, &ambient)?;
    let listener = listen(port).await?;
    println!("listening {}", url(&listener)?);
    Ok(serve_alone(coder_users::route_group(), settings, ambient, listener, pending()).await?)
}

async fn hop(handler: &Url) -> anyhow::Result<()> {
    let (ambient, address) = (Ambient::system(), Address::try_from(handler)?);
    let upstream = |group: &coder_gateway::Group| match group.name {
        GROUP => Upstream::Remote(address.clone()),
        _ => Upstream::Absent,
    };
    let gateway = Gateway::new(RouteTable::PLATFORM, ambient.clone(), upstream);
    let listener = listen(0).await?;
    println!("listening {}", url(&listener)?);
    let edge = EdgeLayer::new(EdgeOptions::new(ambient)).layer(gateway);
    Ok(serve(listener, edge, pending()).await?)
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    Ok(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?)
}

fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// What a handler answers that does nothing.
#[derive(Debug, Serialize, JsonSchema)]
struct Answer {
    id: &'static str,
    name: &'static str,
    description: &'static str,
}

impl Example for Answer {
    fn example() -> Self {
        let description = "Builds what the others build on.";
        Self { id: "01a20a2e-684b-7000-8f7a-b89db6b69866", name: "Platform", description }
    }
}

#[derive(Debug, Clone)]
struct Nothing;

async fn answer(State(_): State<Nothing>, _: SignedIn) -> coder_core::Result<Json<Answer>> {
    Ok(Json(Answer::example()))
}

fn group() -> Group {
    let routes = Routes::new("/api/calendar").get("/answer", "get_answer", "Answer at once", answer);
    RouteGroup::new(GROUP, "Measures the chain")
        .container(Container::new(GROUP))
        .routes(routes)
        .service(|_, _| Nothing)
}
