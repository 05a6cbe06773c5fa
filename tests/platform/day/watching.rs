//! Max at his open inbox, through every cut of the connection.

use std::collections::BTreeSet;
use std::time::Duration;

use coder_testkit::{Client, LiveStream, SentEvent};
use serde_json::Value;
use tokio::time::timeout;

const STREAM: &str = "/api/notifications/stream";

/// The longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open inbox and what it has shown.
pub(super) struct Watcher {
    stream: LiveStream,
    last: String,
    /// The items, in the order in which they were told.
    pub(super) items: Vec<Value>,
}

impl Watcher {
    pub(super) async fn of(client: &Client) -> Self {
        // From the first item on, whatever came before the stream was opened.
        let last = "0".to_owned();
        Self { stream: client.stream(STREAM, Some(&last)).await, last, items: Vec::new() }
    }

    /// Reads until all these messages were told.
    pub(super) async fn sees(&mut self, messages: &BTreeSet<String>) {
        loop {
            let told: BTreeSet<&str> =
                self.items.iter().filter_map(|item| item["messageId"].as_str()).collect();
            let missing: Vec<&String> = messages.iter().filter(|id| !told.contains(id.as_str())).collect();
            if missing.is_empty() {
                return;
            }
            match timeout(PATIENCE, self.stream.next()).await {
                Ok(Some(event)) => self.note(event),
                ended => panic!("{ended:?} before {missing:?} were told; told were {:#?}", self.items),
            }
        }
    }

    /// Reads what came before the end of the connection.
    pub(super) async fn is_cut_off(&mut self) {
        while let Some(event) = timeout(PATIENCE, self.stream.next()).await.expect("the stream goes on") {
            self.note(event);
        }
    }

    /// Goes on after the last event.
    pub(super) async fn comes_back(&mut self, client: &Client) {
        self.stream = client.stream(STREAM, Some(&self.last)).await;
    }

    fn note(&mut self, event: SentEvent) {
        assert_ne!(event.event, "reset");
        self.last = event.id;
        if event.event == "inbox.created" {
            self.items.push(event.data);
        }
    }
}
