//! Callers that send slowly to keep connections busy: cut off by the limits of the server, which are short here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use coder_core::Ambient;
use coder_gateway::{EdgeLayer, EdgeOptions, Gateway, RouteTable, Upstream};
use coder_handler::serve::{Limits, serve_with};
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tower::{Layer as _, Service};

const SHORT: Duration = Duration::from_millis(150);

async fn hello(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let body = axum::body::to_bytes(request.into_body(), 1024).await;
    Ok(Response::new(Body::from(body.map_or("broken", |_| "hello"))))
}

async fn server(connections: usize) -> SocketAddr {
    let limits = Limits { header_read: SHORT, drain: SHORT, connections };
    serving(limits, tower::service_fn(hello)).await
}

async fn serving<S>(limits: Limits, inner: S) -> SocketAddr
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = EdgeLayer::new(EdgeOptions::new(Ambient::system())).layer(inner);
    tokio::spawn(serve_with(limits, listener, service, std::future::pending()));
    address
}

async fn whole_answer(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await;
    assert!(read.is_ok(), "others wait for ever");
    answer
}

/// More connections that never finish their headers than the server has room for: they are closed without an answer,
/// and who comes after them is served.
#[tokio::test]
async fn unfinished_headers_do_not_shut_others_out() {
    let address = server(8).await;
    let mut slow = Vec::new();
    for start in ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n"].repeat(5) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        slow.push((start, stream));
    }
    assert!(whole_answer(address).await.starts_with("HTTP/1.1 200 "));
    for (start, mut stream) in slow {
        let mut answer = Vec::new();
        let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "`{start:?}` is kept open");
        assert_eq!(String::from_utf8_lossy(&answer), "", "`{start:?}`");
    }
}

/// A used connection is no better: it is closed when the next request does not come.
#[tokio::test]
async fn an_idle_connection_is_not_kept() {
    let address = server(1).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let closed = timeout(Duration::from_secs(10), idle.read_to_string(&mut answer)).await;
    assert!(closed.is_ok() && answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(whole_answer(address).await.starts_with("HTTP/1.1 200 "));
}

/// Sends a body a byte at a time, with pauses that none of which is too long, until there is an answer; then it must
/// be all there is.
async fn dribble(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /api/usage/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    while timeout(PAUSE, stream.readable()).await.is_err() {
        stream.write_all(b" ").await.unwrap();
    }
    let mut answer = String::new();
    let closed = timeout(PAUSE, stream.read_to_string(&mut answer)).await;
    assert!(closed.is_ok(), "the connection is kept: {answer}");
    answer
}

const PAUSE: Duration = Duration::from_secs(7);

/// More callers that never finish their bodies than there is room for: each is told so when the time for an answer is
/// over, however lively it is, and who comes after them all is served.
#[tokio::test(start_paused = true)]
async fn unfinished_bodies_do_not_shut_others_out() {
    let group = Router::new().fallback(|body: Bytes| std::future::ready(body));
    let gateway =
        Gateway::new(RouteTable::PLATFORM, Ambient::system(), |_| Upstream::InProcess(group.clone()));
    let address = serving(Limits { connections: 8, ..Limits::PUBLIC }, gateway).await;
    let (began, mut slow) = (Instant::now(), JoinSet::new());
    for _ in 0..16 {
        slow.spawn(dribble(address));
    }
    for answer in slow.join_all().await {
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timeout"), "{answer}");
    }
    // Two after one another in every place.
    assert!(began.elapsed() < Duration::from_secs(75), "{:?}", began.elapsed());
    assert!(whole_answer(address).await.starts_with("HTTP/1.1 200 "));
}
