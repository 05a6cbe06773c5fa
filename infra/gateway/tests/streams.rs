//! Streams pass as they come, and a call ends when its caller goes.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::client::{parse, read_until, send};
use crate::fakes::{BOTH, Via, place, plain_gateway};

const GET: &[u8] = b"GET /api/ai/stream HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n";

/// Something that a single request takes with it.
type Once<T> = Arc<Mutex<Option<T>>>;

fn once<T>(value: T) -> Once<T> {
    Arc::new(Mutex::new(Some(value)))
}

/// What a test lets a stream say next, its breaking included.
type Next = io::Result<&'static str>;

fn events(receiver: mpsc::Receiver<Next>) -> Response<Body> {
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((event, receiver))
    });
    let answer = Response::builder().header("content-type", "text/event-stream");
    answer.body(Body::from_stream(events)).unwrap()
}

/// A caller that waits for a stream, and what decides how the stream goes on.
async fn streaming(via: Via) -> (mpsc::Sender<Next>, TcpStream) {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = once(receiver);
    let answer = move || std::future::ready(events(receiver.lock().unwrap().take().unwrap()));
    let address = plain_gateway(place(Router::new().fallback(answer), via).await).await;
    (sender, send(address, GET).await)
}

#[tokio::test]
async fn an_event_arrives_before_the_next_is_made() {
    for via in BOTH {
        let (sender, mut caller) = streaming(via).await;
        let head = read_until(&mut caller, "\r\n\r\n").await;
        assert!(head.contains("text/event-stream"), "the head comes before any event");
        sender.send(Ok("data: 1\n\n")).await.unwrap();
        read_until(&mut caller, "data: 1\n\n").await;
        sender.send(Ok("data: 2\n\n")).await.unwrap();
        read_until(&mut caller, "data: 2\n\n").await;
        drop(sender);
        read_until(&mut caller, "0\r\n\r\n").await;
    }
}

#[tokio::test]
async fn an_upload_arrives_while_it_is_sent() {
    for via in BOTH {
        let (sender, mut arrived) = mpsc::channel(4);
        let router = Router::new().fallback(move |request: Request<Body>| {
            let sender = sender.clone();
            async move {
                let mut chunks = request.into_body().into_data_stream();
                while let Some(Ok(chunk)) = chunks.next().await {
                    sender.send(chunk).await.unwrap();
                }
                "done"
            }
        });
        let address = plain_gateway(place(router, via).await).await;
        let head =
            b"POST /api/ai/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut caller = send(address, head).await;
        for _ in 0..3 {
            caller.write_all(b"3\r\nabc\r\n").await.unwrap();
            assert_eq!(arrived.recv().await.unwrap(), "abc");
        }
        caller.write_all(b"0\r\n\r\n").await.unwrap();
        read_until(&mut caller, "done").await;
    }
}

#[tokio::test]
async fn a_call_ends_when_its_caller_goes_before_the_answer() {
    for via in BOTH {
        let (started, begun) = oneshot::channel::<()>();
        let (held, dropped) = oneshot::channel::<()>();
        let inside = once((started, held));
        let router = Router::new().fallback(move || {
            let (started, held) = inside.lock().unwrap().take().unwrap();
            async move {
                started.send(()).unwrap();
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        let address = plain_gateway(place(router, via).await).await;
        let caller = send(address, GET).await;
        begun.await.unwrap();
        drop(caller);
        assert!(dropped.await.is_err(), "the handler's future was dropped");
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_caller_goes() {
    for via in BOTH {
        let (sender, mut caller) = streaming(via).await;
        sender.send(Ok("data: 1\n\n")).await.unwrap();
        read_until(&mut caller, "data: 1").await;
        drop(caller);
        sender.closed().await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_not_ended_as_if_it_were_whole() {
    for via in BOTH {
        let (sender, mut caller) = streaming(via).await;
        sender.send(Ok("half")).await.unwrap();
        let mut received = read_until(&mut caller, "half").await.into_bytes();
        sender.send(Err(io::Error::other("broken"))).await.unwrap();
        caller.read_to_end(&mut received).await.unwrap();
        let answer = parse(&received);
        assert_eq!((answer.status, answer.body.as_str()), (200, "half"));
        assert!(!answer.complete);
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let router = Router::new().fallback(|request: Request<Body>| async move {
        let body = request.into_body().collect().await.unwrap();
        body.to_bytes()
    });
    for via in BOTH {
        let address = plain_gateway(place(router.clone(), via).await).await;
        let request = b"POST /api/ai HTTP/1.1\r\nhost: g\r\ncontent-length: 4\r\n\r\nbody";
        let mut caller = send(address, request).await;
        for _ in 0..3 {
            let answer = read_until(&mut caller, "body").await;
            assert_eq!(parse(answer.as_bytes()).status, 200);
            caller.write_all(request).await.unwrap();
        }
    }
}
