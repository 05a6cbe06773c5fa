//! Server-Sent Events as a client reads them.

use serde_json::Value;

/// An event of a stream.
#[derive(Debug, Clone)]
pub struct SentEvent {
    /// What `Last-Event-ID` names.
    pub id: String,
    /// The kind of event.
    pub event: String,
    /// The payload.
    pub data: Value,
}

/// An open stream.
#[derive(Debug)]
pub struct LiveStream {
    response: reqwest::Response,
    read: String,
}

impl LiveStream {
    pub(crate) fn of(response: reqwest::Response) -> Self {
        Self { response, read: String::new() }
    }

    /// The next event, comments left out; nothing once the stream has ended or was cut.
    pub async fn next(&mut self) -> Option<SentEvent> {
        loop {
            while let Some((block, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (parsed(block), rest.to_owned());
                self.read = rest;
                if event.is_some() {
                    return event;
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.read.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

fn parsed(block: &str) -> Option<SentEvent> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data")?).unwrap_or_default();
    let text = |name: &str| field(name).unwrap_or_default().to_owned();
    Some(SentEvent { id: text("id"), event: text("event"), data })
}
