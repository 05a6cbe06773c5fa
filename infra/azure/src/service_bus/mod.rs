//! Service Bus by its REST interface: publishing for the outbox, and the broker's own dead letters for operators.
//!
//! REST instead of AMQP: one round trip for the first message of a fresh process instead of fifteen, and nothing
//! that dies while an instance is frozen.

mod client;
pub mod dead_letters;
mod refusal;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, Method};
use coder_core::Ambient;
use coder_queue::publisher::check;
use coder_queue::{Entity, Message, PublishError, Publisher};

use client::Client;
pub use client::InvalidNamespace;
pub use dead_letters::DeadLetterQueue;
use refusal::Refusal;

/// A Service Bus namespace. Clones share connections and token.
#[derive(Debug, Clone)]
pub struct ServiceBus {
    client: Arc<Client>,
}

impl ServiceBus {
    /// The namespace with this host name, such as `coder.servicebus.windows.net`. The identity needs the role *Azure
    /// Service Bus Data Sender*, and *Data Receiver* for dead letters. Nothing is sent before the first use.
    pub fn new(
        namespace: &str,
        credential: Arc<dyn TokenCredential>,
        ambient: Ambient,
    ) -> Result<Self, InvalidNamespace> {
        Self::with_options(namespace, credential, ambient, ClientOptions::default())
    }

    /// The same by way of another transport or with further policies. Of the options `retry` has no effect.
    pub fn with_options(
        namespace: &str,
        credential: Arc<dyn TokenCredential>,
        ambient: Ambient,
        options: ClientOptions,
    ) -> Result<Self, InvalidNamespace> {
        Ok(Self { client: Arc::new(Client::new(namespace, credential, ambient, options)?) })
    }

    /// Whether a message could be sent, as far as can be told without sending one: a token can be had, which is
    /// kept for the first message. A sender has no right to look at the topics themselves.
    pub async fn ready(&self) -> Result<(), PublishError> {
        self.client.token().await.map_err(|refusal| refusal.of_message(0))
    }

    /// What the broker gave up of the messages for this group.
    pub fn dead_letters(&self, entity: Entity, group: &str) -> DeadLetterQueue {
        DeadLetterQueue::new(self.client.clone(), entity, group)
    }

    /// Sends messages as one; all are taken or none.
    async fn send(&self, messages: &[Message]) -> Result<(), Refusal> {
        let post = wire::encode(messages).map_err(Refusal::Message)?;
        let Some(first) = messages.first() else { return Ok(()) };
        let mut request = self.client.request(Method::Post, &[first.entity.name(), "messages"]);
        for (name, value) in post.headers {
            request.insert_header(name, value);
        }
        request.set_body(post.body);
        self.client.send(&request).await.map(drop)
    }
}

#[async_trait]
impl Publisher for ServiceBus {
    /// One request in nearly every case. What does not fit into one, or what Service Bus refuses without saying
    /// which message it means, is halved until it is taken or the message is found; so the messages before a
    /// refused one may be published when the call fails.
    async fn publish(&self, messages: &[Message]) -> Result<(), PublishError> {
        check(messages)?;
        // Parts of the call, each with the index of its first message; the next to send is the last.
        let mut left = vec![(0, messages)];
        while let Some((start, part)) = left.pop() {
            match self.send(part).await {
                Ok(()) => {}
                Err(Refusal::Message(_)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    left.extend([(start + first.len(), second), (start, first)]);
                }
                Err(refusal) => return Err(refusal.of_message(start)),
            }
        }
        Ok(())
    }
}
