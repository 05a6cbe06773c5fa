//! Load over HTTP from this process: connections that stay open, one request at a time on each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::clock::now;

/// A request as it is sent.
pub(crate) type Message = Request<Full<Bytes>>;

/// When a round ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After this time.
    Time(Duration),
    /// After so many requests.
    Count(usize),
}

/// A request without a body.
pub(crate) fn get(path: &str, token: &str) -> Message {
    message(Request::get(path), token, Bytes::new())
}

/// A request with JSON.
pub(crate) fn post(path: &str, token: &str, body: String) -> Message {
    message(Request::post(path).header(header::CONTENT_TYPE, "application/json"), token, body.into())
}

fn message(head: http::request::Builder, token: &str, body: Bytes) -> Message {
    let head = head.header(header::HOST, "127.0.0.1").header(header::USER_AGENT, "bench");
    let head =
        if token.is_empty() { head } else { head.header(header::AUTHORIZATION, format!("Bearer {token}")) };
    head.body(Full::new(body)).unwrap_or_default()
}

/// Sends requests on so many connections; how many were answered. `next` numbers them over all rounds. A refusal is
/// an error.
pub(crate) async fn round(
    url: &str,
    connections: usize,
    until: Until,
    next: &AtomicUsize,
    message: &(dyn Fn(usize) -> Message + Sync),
) -> anyhow::Result<usize> {
    let first = next.load(Ordering::Relaxed);
    let (deadline, end) = match until {
        Until::Time(time) => (Some(now() + time), usize::MAX),
        Until::Count(count) => (None, first + count),
    };
    let one = async || {
        let mut sender = connect(url).await?;
        let mut answered = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end || deadline.is_some_and(|deadline: Instant| now() >= deadline) {
                return anyhow::Ok(answered);
            }
            send(&mut sender, message(number)).await?;
            answered += 1;
        }
    };
    let answered = try_join_all((0..connections).map(|_| one())).await?;
    // Each connection took one number in vain.
    if end != usize::MAX {
        next.store(end, Ordering::Relaxed);
    }
    Ok(answered.iter().sum())
}

/// Opens a connection.
pub(crate) async fn connect(url: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let address = url.strip_prefix("http://").context("only http")?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends one request and reads the whole answer.
pub(crate) async fn send(sender: &mut SendRequest<Full<Bytes>>, message: Message) -> anyhow::Result<Bytes> {
    sender.ready().await?;
    let answer = sender.send_request(message).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        bail!("{status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}

/// Asks again and again until the answer is a success; a server may just be starting.
pub(crate) async fn first_answer(url: &str, message: impl Fn() -> Message) -> anyhow::Result<Bytes> {
    const PATIENCE: Duration = Duration::from_secs(20);
    const PAUSE: Duration = Duration::from_micros(200);
    let start = now();
    loop {
        let answer = async { send(&mut connect(url).await?, message()).await }.await;
        match answer {
            Ok(body) => return Ok(body),
            Err(error) if start.elapsed() > PATIENCE => return Err(error.context(url.to_owned())),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
