//! Small upstreams that answer, hang, break or are not there, and a gateway in front of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use coder_core::Ambient;
use coder_gateway::{Address, EdgeLayer, EdgeOptions, Gateway, RouteTable, Upstream};
use coder_handler::serve;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::Layer;

/// How an upstream is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Via {
    InProcess,
    Remote,
}

pub(crate) const BOTH: [Via; 2] = [Via::InProcess, Via::Remote];

/// What an upstream does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Behaviour {
    #[default]
    Answers,
    Never,
    Panics,
    Refuses,
    Closes,
    BreaksHead,
    Babbles,
    Absent,
}

/// The answer of an upstream that answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Fake {
    pub(crate) does: Behaviour,
    pub(crate) via: Option<Via>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Default for Fake {
    fn default() -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { does: Behaviour::Answers, via: None, status: 200, headers, body: r#"{"ok":true}"#.to_owned() }
    }
}

/// A request as an upstream saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;

/// The upstream that `fake` describes, and what it sees.
pub(crate) async fn upstream(fake: &Fake, via: Via) -> (Upstream, Log) {
    let log = Log::default();
    let upstream = match fake.does {
        Behaviour::Absent => Upstream::Absent,
        Behaviour::Refuses => {
            // Bound and let go: nobody listens there.
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            Upstream::Remote(address(listener.local_addr().unwrap()))
        }
        Behaviour::Closes => raw(b"").await,
        Behaviour::BreaksHead => raw(b"HTTP/1.1 200 OK\r\ncontent-ty").await,
        Behaviour::Babbles => raw(b"ESMTP ready\r\n\r\n").await,
        Behaviour::Answers | Behaviour::Never | Behaviour::Panics => {
            let (fake, log) = (fake.clone(), Arc::clone(&log));
            let router = Router::new()
                .fallback(move |request: Request<Body>| record(fake.clone(), log.clone(), request));
            place(router, via).await
        }
    };
    (upstream, log)
}

/// The router in this process, or behind a socket.
pub(crate) async fn place(router: Router, via: Via) -> Upstream {
    match via {
        Via::InProcess => Upstream::InProcess(router),
        Via::Remote => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = address(listener.local_addr().unwrap());
            tokio::spawn(serve(listener, router, std::future::pending()));
            Upstream::Remote(address)
        }
    }
}

/// A gateway with these options, every group of which is `upstream`; and where it listens.
pub(crate) async fn gateway(upstream: Upstream, options: EdgeOptions) -> (Gateway, SocketAddr) {
    let gateway = Gateway::new(RouteTable::PLATFORM, options.ambient.clone(), |_| upstream.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = EdgeLayer::new(options).layer(gateway.clone());
    tokio::spawn(serve(listener, service, std::future::pending()));
    (gateway, address)
}

/// A gateway without options.
pub(crate) async fn plain_gateway(upstream: Upstream) -> SocketAddr {
    gateway(upstream, EdgeOptions::new(Ambient::system())).await.1
}

async fn record(fake: Fake, log: Log, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Response::builder().status(400).body(Body::from("no body")).unwrap();
    };
    log.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    });
    match fake.does {
        Behaviour::Never => std::future::pending().await,
        Behaviour::Panics => panic!("as the case wants"),
        _ => {}
    }
    let mut answer = Response::builder().status(fake.status);
    for (name, value) in &fake.headers {
        answer = answer.header(name, value);
    }
    answer.body(Body::from(fake.body)).unwrap()
}

/// A listener that reads something, writes `answer` and closes.
async fn raw(answer: &'static [u8]) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = address(listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _read = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
    });
    Upstream::Remote(address)
}

pub(crate) fn address(socket: SocketAddr) -> Address {
    Address::try_from(&format!("http://{socket}").parse().unwrap()).unwrap()
}
