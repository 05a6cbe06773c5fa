//! A caller that writes bytes as they are, so that a test can send what no well-behaved client would.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Lower-case names; repeated ones joined by `, `.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// Whether the body ended as announced.
    pub(crate) complete: bool,
}

/// A connection on which `request` was written.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream
}

/// Sends, and reads until the server closes: the request must ask for that.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut received = Vec::new();
    // A server may refuse without reading all; then writing fails, and the answer is there all the same.
    let (_written, _read) = tokio::join!(writer.write_all(request), read_to_end(&mut reader, &mut received));
    parse(&received)
}

async fn read_to_end(reader: &mut (impl AsyncReadExt + Unpin), received: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = reader.read(&mut buffer).await {
        received.extend_from_slice(&buffer[..read]);
    }
}

/// Reads until what has come contains `wanted`.
pub(crate) async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut received = String::new();
    let mut buffer = [0; 4096];
    while !received.contains(wanted) {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "closed before {wanted:?}: {received:?}");
        received.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    received
}

/// The first answer in `received`.
pub(crate) fn parse(received: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(received);
    let Some((head, rest)) = text.split_once("\r\n\r\n") else { return Answer::default() };
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    if status == 100 {
        return parse(rest.as_bytes());
    }
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let entry = headers.entry(name.to_ascii_lowercase()).or_default();
        if !entry.is_empty() {
            entry.push_str(", ");
        }
        entry.push_str(value.trim());
    }
    let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let (body, complete) = if chunked { dechunk(rest) } else { (rest.to_owned(), true) };
    Answer { status, headers, body, complete }
}

fn dechunk(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = after.get(..size) else { break };
        body.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}
