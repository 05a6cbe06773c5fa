//! Bytes over a connection of their own, for what no well-behaved client sends.

use std::net::SocketAddr;
use std::time::Duration;

use coder_testkit::Reply;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends, and reads until the server closes: the request must ask for that, unless it is refused. Gives the first
/// answer, and how many there were.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> (Reply, usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut received = Vec::new();
    let talk = async {
        let read = reader.read_to_end(&mut received);
        // A server may refuse without reading all; then writing fails, and the answer is there all the same.
        let _both = tokio::join!(writer.write_all(request), read);
    };
    assert!(timeout(PATIENCE, talk).await.is_ok(), "the server keeps the connection open");
    let text = String::from_utf8_lossy(&received).into_owned();
    (first(&text), text.matches("HTTP/1.1 ").count())
}

fn first(text: &str) -> Reply {
    let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let body = rest.split("HTTP/1.1 ").next().unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Reply { status, headers, body }
}
