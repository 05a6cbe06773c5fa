//! Answers that are sent as they come: Server-Sent Events, and files.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use coder_core::{Failure, StoredAnswer};
use futures_util::{Stream, StreamExt as _};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::answer::{Answer, Reply};
use crate::describe::{AnswerDescription, OperationDescription, lazily};

/// After so long without an event a comment is sent, so that nothing between takes the connection for dead.
pub const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// After so long the server ends a stream; the client comes back with `Last-Event-ID`. Below the front end's
/// limit of 230 s.
pub const LONGEST: Duration = Duration::from_secs(200);

/// One event of a stream (WHATWG HTML, section 9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSentEvent {
    /// What the client sends back as `Last-Event-ID`; one line.
    pub id: String,
    /// The event's name; one line.
    pub event: &'static str,
    /// The payload.
    pub data: Value,
}

impl ServerSentEvent {
    fn encode(&self) -> Bytes {
        // JSON text has no line breaks; an id with one would be another field.
        let id = self.id.replace(['\r', '\n', '\0'], "");
        Bytes::from(format!("id: {id}\nevent: {}\ndata: {}\n\n", self.event, self.data))
    }
}

/// `200` with Server-Sent Events. The headers go at once, a comment every 15 s, and the stream ends after 200 s.
pub struct EventStream {
    events: Pin<Box<dyn Stream<Item = ServerSentEvent> + Send>>,
    retry: Duration,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl EventStream {
    /// A stream of these events; the client is told to come back after a second.
    pub fn new(events: impl Stream<Item = ServerSentEvent> + Send + 'static) -> Self {
        Self { events: Box::pin(events), retry: Duration::from_secs(1) }
    }

    fn frames(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let first = Bytes::from(format!("retry: {}\n\n", self.retry.as_millis()));
        let end = tokio::time::Instant::now() + LONGEST;
        let rest = futures_util::stream::unfold(self.events, move |mut events| async move {
            let comment = tokio::time::sleep(COMMENT_EVERY);
            tokio::select! {
                () = tokio::time::sleep_until(end) => None,
                event = events.next() => Some((event?.encode(), events)),
                () = comment => Some((Bytes::from_static(b": still here\n\n"), events)),
            }
        });
        futures_util::stream::once(async move { first }).chain(rest).map(Ok)
    }
}

impl Answer for EventStream {
    fn describe(operation: &mut OperationDescription) {
        let example = lazily(|| json!("id: 1\nevent: counts\ndata: {}\n\n"));
        let schema = lazily(|| json!({"title": "EventStream", "type": "string"}));
        let body = Some(("text/event-stream", schema, example));
        let description = "A stream of Server-Sent Events; it ends after 200 seconds.";
        operation.answers.push(AnswerDescription { status: 200, description, body, headers: &[] });
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        Err(Failure::internal("a stream cannot be kept"))
    }

    fn into_reply(self) -> Result<Reply, Failure> {
        let mut response = Response::new(Body::from_stream(self.frames()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Proxies that buffer are told not to.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(Reply::Streamed(response))
    }
}

/// `200` with a file that the client saves.
#[derive(Debug)]
pub struct Download {
    /// Its media type.
    pub content_type: &'static str,
    /// The name to save it under; anything but letters, digits, `.`, `-` and `_` becomes `_`.
    pub file_name: String,
    /// The bytes, as they come.
    pub body: Body,
}

impl Answer for Download {
    fn describe(operation: &mut OperationDescription) {
        let schema = lazily(|| json!({"title": "File", "type": "string", "format": "binary"}));
        // Which type it is depends on the file.
        let body = Some(("*/*", schema, lazily(|| json!("…"))));
        let headers: &[&str] = &["Content-Disposition"];
        operation.answers.push(AnswerDescription { status: 200, description: "The file.", body, headers });
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        Err(Failure::internal("a file cannot be kept"))
    }

    fn into_reply(self) -> Result<Reply, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = self.file_name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
        let mut response = Response::new(self.body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_DISPOSITION, disposition.map_err(Failure::internal)?);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(Reply::Streamed(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> ServerSentEvent {
        ServerSentEvent { id: id.into(), event: "counts", data: json!({"unread": 1}) }
    }

    async fn text(stream: EventStream) -> String {
        let frames: Vec<_> = stream.frames().map(|Ok(frame)| frame).collect().await;
        String::from_utf8(frames.concat()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_framed_and_an_id_stays_one_line() {
        let sent = text(EventStream::new(futures_util::stream::iter([event("1\ndata: forged")]))).await;
        assert_eq!(sent, "retry: 1000\n\nid: 1data: forged\nevent: counts\ndata: {\"unread\":1}\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_gets_comments_and_an_end() {
        let start = tokio::time::Instant::now();
        let sent = text(EventStream::new(futures_util::stream::pending())).await;
        assert_eq!(start.elapsed(), LONGEST);
        assert_eq!(sent.matches(": still here").count(), 13);
    }
}
