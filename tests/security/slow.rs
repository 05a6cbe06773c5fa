//! Callers that send slowly to keep connections busy: cut off by the limits of the server, which are short here.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use coder_core::Ambient;
use coder_gateway::{EdgeLayer, EdgeOptions};
use coder_handler::serve::{Limits, serve_with};
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::Layer as _;

const SHORT: Duration = Duration::from_millis(150);

async fn hello(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let body = axum::body::to_bytes(request.into_body(), 1024).await;
    Ok(Response::new(Body::from(body.map_or("broken", |_| "hello"))))
}

async fn server(connections: usize) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { header_read: SHORT, drain: SHORT, connections };
    let service = EdgeLayer::new(EdgeOptions::new(Ambient::system())).layer(tower::service_fn(hello));
    tokio::spawn(serve_with(limits, listener, service, std::future::pending()));
    address
}

async fn whole_answer(address: std::net::SocketAddr) -> String {
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
