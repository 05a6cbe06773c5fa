//! Runs a service on a listener: bounded connections, headers in time, and an orderly end. Used by the gateway
//! and by handlers alike.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt};

/// The most header lines that are read at all, and the most bytes of a head. More than the gateway allows, so
/// that it answers with a problem; beyond these the server says `431` without a body.
const HEADER_LINES: usize = 200;
const HEAD_BYTES: usize = 64 * 1024;
/// How long to wait when the machine has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long and how much a server bears with its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time for the header section to arrive, which is also how long an idle connection is kept.
    pub header_read: Duration,
    /// The time that requests under way are given when the server stops.
    pub drain: Duration,
    /// The most connections at a time; more wait to be accepted.
    pub connections: usize,
}

impl Limits {
    /// For callers that nobody knows.
    pub const PUBLIC: Self =
        Self { header_read: Duration::from_secs(10), drain: Duration::from_secs(10), connections: 4096 };

    /// For a handler behind its host, which keeps idle connections for minutes and would meet a closed one.
    pub const BEHIND_HOST: Self = Self { header_read: Duration::from_mins(5), ..Self::PUBLIC };
}

/// [`serve_with`] the limits for unknown callers.
pub async fn serve<S>(listener: TcpListener, service: S, shutdown: impl Future<Output = ()>) -> io::Result<()>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    serve_with(Limits::PUBLIC, listener, service, shutdown).await
}

/// Serves until `shutdown` completes, then finishes what is under way, at most [`Limits::drain`] long. Every
/// request carries the peer's address as `ConnectInfo<SocketAddr>`. A caller that goes away ends its call.
pub async fn serve_with<S>(
    limits: Limits,
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            // Reaps connections that have ended.
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted?,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let (service, watcher) = (service.clone(), graceful.watcher());
        connections.spawn(async move {
            connection(limits, TokioIo::new(stream), peer, service, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests under way were cut off at shutdown");
    }
    connections.shutdown().await;
    Ok(())
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it; none where accepting failed for this one only.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<Option<Accepted>> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "the connection closed as it was accepted");
                return Ok(None);
            }
            Ok(Some((stream, peer, permit)))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            Ok(None)
        }
    }
}

/// Serves one connection to its end.
async fn connection<I, S>(limits: Limits, io: I, peer: SocketAddr, service: S, watcher: Watcher)
where
    I: Read + Write + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        service.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_headers(HEADER_LINES)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, service);
    if let Err(error) = watcher.watch(served).await {
        // A caller's doing; the request, if there was one, has its own log line.
        tracing::debug!(%error, "the connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
        Ok(Response::new(Body::from("hello")))
    }

    fn connect() -> (DuplexStream, GracefulShutdown) {
        let (near, far) = duplex(1024);
        let graceful = GracefulShutdown::new();
        let watcher = graceful.watcher();
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let service = tower::service_fn(hello);
        tokio::spawn(async move {
            connection(Limits::PUBLIC, TokioIo::new(far), peer, service, watcher).await;
        });
        (near, graceful)
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_drips_its_headers_is_cut_off() {
        let (mut caller, _graceful) = connect();
        tokio::task::yield_now().await;
        let start = Instant::now();
        caller.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(2)).await;
            caller.write_all(b"x: y\r\n").await.unwrap();
        }
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"");
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_and_a_used_one_kept() {
        let (mut caller, _graceful) = connect();
        for _ in 0..3 {
            caller.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = [0; 256];
            let read = caller.read(&mut answer).await.unwrap();
            assert!(answer[..read].ends_with(b"hello"));
            tokio::time::advance(Duration::from_secs(8)).await;
        }
        let start = Instant::now();
        assert_eq!(caller.read(&mut [0; 16]).await.unwrap(), 0);
        assert!(start.elapsed() <= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_waits_for_requests_and_then_cuts_them_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let never = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, _>>());
        let server = tokio::spawn(serve(listener, never, async move {
            stopped.await.unwrap();
        }));
        let mut caller = tokio::net::TcpStream::connect(address).await.unwrap();
        caller.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let start = Instant::now();
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
