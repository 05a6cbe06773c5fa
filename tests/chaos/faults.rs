//! What goes wrong around the process: somebody else's lock, a group that never answers, a connection that is cut.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// Takes SQLite's own lock, as a tool does that copies or repairs the file; nobody else writes until it is dropped.
pub(crate) fn lock_file(path: &Path) -> Connection {
    let mut connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    std::mem::forget(transaction);
    connection
}

/// Takes the turn to write, as a process does that was frozen in the middle of its own.
pub(crate) fn take_turn(path: &Path) -> File {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    file.lock().unwrap();
    file
}

/// The address of somebody who takes every connection and never says a word.
pub(crate) async fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
    address
}

/// Sends a request and cuts the connection: before its end, or before its answer. Errors are of no interest, since
/// the process may be gone.
pub(crate) async fn cut(url: &str, api_key: &str, act: &crate::acts::Act, whole: bool) {
    let host = url.trim_start_matches("http://");
    let Ok(mut connection) = TcpStream::connect(host).await else { return };
    // The half that comes is a whole document, so that only the length says that it is none.
    let request = request(host, api_key, act.path, &act.key, &act.body, if whole { 0 } else { 20 });
    connection.write_all(request.as_bytes()).await.ok();
    connection.shutdown().await.ok();
}

fn request(host: &str, api_key: &str, path: &str, key: &str, body: &Value, missing: usize) -> String {
    let body = body.to_string();
    let length = body.len() + missing;
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {api_key}\r\nidempotency-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
