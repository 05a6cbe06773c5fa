//! The suite that every [`Publisher`] passes: what the trait says, as tests.
//!
//! A provider's test writes `coder_queue::contract_tests!(crate::subject);` in a module of its own, where `subject`
//! is an `async fn() -> Subject` that gives a fresh, empty broker with the subscriptions of [`SUBSCRIPTIONS`]. Each
//! case becomes a test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed look-up is a failed test")]
#![expect(
    missing_docs,
    clippy::missing_panics_doc,
    reason = "the cases' names say what they prove; they panic on failure"
)]

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use coder_core::{ManualClock, Timestamp};
use serde_json::json;

use crate::{Entity, Message, PublishError, Publisher};

pub mod calls;
pub mod contents;
pub mod repeats;
pub mod routes;

/// Makes a test of every case of the suite.
#[macro_export]
macro_rules! contract_tests {
    ($subject:path) => {
        $crate::contract_tests! { $subject;
            calls: keeps_the_order, takes_a_call_of_the_largest_size, publishes_none_if_one_is_too_large,
                refuses_several_entities_in_one_call, refuses_too_much_in_one_call, takes_an_empty_call;
            contents: keeps_bodies_byte_for_byte, keeps_properties_and_their_types, holds_back_what_is_scheduled,
                delivers_at_once_what_was_scheduled_for_the_past;
            repeats: drops_a_repeat_within_the_window, takes_an_id_again_after_the_window,
                tells_entities_apart, takes_what_is_new_of_a_repeated_call;
            routes: gives_each_group_what_it_asked_for, gives_a_target_what_nobody_else_gets,
                gives_a_job_to_its_group;
        }
    };
    ($subject:path; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::contract::$module::$case(&$subject().await).await;
                }
            )+
        })+
    };
}

/// Reads back what was published, as a consumer would.
#[async_trait]
pub trait Inspect: Send + Sync + fmt::Debug {
    /// Receives and completes what the group can receive now of the entity, in the order of delivery.
    async fn take(&self, entity: Entity, group: &str) -> Vec<Message>;
}

/// A fresh broker under test.
#[derive(Debug)]
pub struct Subject {
    /// Publishes to the broker.
    pub publisher: Arc<dyn Publisher>,
    /// Reads from it.
    pub inspect: Arc<dyn Inspect>,
    /// The clock that the broker looks at.
    pub clock: ManualClock,
    /// What must live as long as the broker, such as a temporary directory.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// The subscriptions that the suite needs: group and patterns.
pub const SUBSCRIPTIONS: [(&str, &[&str]); 3] = [
    ("all", &["coder.*"]),
    ("teams", &["coder.users.team.*", "coder.auth.key.made"]),
    ("none", &["coder.nothing"]),
];

/// When the suite begins.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

impl Subject {
    async fn publish(&self, messages: &[Message]) {
        self.publisher.publish(messages).await.unwrap();
    }

    /// The index of the message that is refused for good.
    async fn refused(&self, messages: &[Message]) -> usize {
        match self.publisher.publish(messages).await {
            Err(PublishError::Permanent { index, .. }) => index,
            other => panic!("not refused for good: {other:?}"),
        }
    }

    async fn take(&self, group: &str) -> Vec<Message> {
        self.inspect.take(Entity::Events, group).await
    }

    async fn ids(&self, group: &str) -> Vec<String> {
        self.take(group).await.into_iter().map(|message| message.id).collect()
    }
}

fn message(id: &str, kind: &str) -> Message {
    let event = json!({
        "specversion": "1.0", "id": id, "type": kind, "subject": format!("subject of {id}"),
        "organizationid": "platform", "data": {},
    });
    Message::of_event(id, Entity::Events, &event)
}

/// A message that only `all` asks for.
fn plain(id: &str) -> Message {
    message(id, "coder.notes.note.made")
}

fn job(id: &str, group: &str) -> Message {
    let event = json!({"id": id, "type": "coder.notes.job.tidy", "subject": "j", "data": {"group": group}});
    Message::of_event(id, Entity::Jobs, &event)
}

/// A message of exactly so many bytes.
fn sized(id: &str, size: usize) -> Message {
    let mut message = plain(id);
    let rest = size - (message.size() - message.body.len());
    message.body = vec![b'x'; rest];
    assert_eq!(message.size(), size);
    message
}
