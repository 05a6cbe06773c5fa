//! The next attempt of a consumer that failed: a copy of the message, for that consumer alone, after a pause. The
//! host makes none: it delivers again at once.

use std::time::Duration;

use coder_core::Ambient;
use coder_queue::PublishError;
use coder_queue::dead_letter::Reason;
use coder_queue::message::{Entity, Message, property};
use coder_telemetry::{Consumption, redact};
use serde_json::json;

use super::consume::{Consumers, Given};
use super::mark::{Progress, Turn};
use crate::events::Consumer;

/// The longest pause before an attempt; before the second it is at most two seconds, then it doubles.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The property that says why the attempt before failed, and how much of that.
const LAST_ERROR: &str = "lasterror";
const ERROR_CHARACTERS: usize = 300;

/// Service Bus' limit on message ids.
const MESSAGE_ID_LIMIT: usize = 128;

impl<S: Clone + Send + Sync + 'static> Consumers<S> {
    /// Publishes a copy for the next attempt, after a pause of which the host knows nothing.
    pub(super) async fn try_again(
        &self,
        consumer: &Consumer<S>,
        given: &Given<'_>,
        turn: Turn,
        error: &str,
    ) -> Result<(Consumption, Progress), String> {
        let message = self.copy(consumer, given, turn, error);
        match self.runtime.publisher.publish(&[message]).await {
            Ok(()) => {
                let (name, attempt) = (consumer.name, turn.attempt);
                tracing::warn!(
                    consumer = name,
                    event.id = given.event.id,
                    attempt,
                    error,
                    "a consumer tries again"
                );
                Ok((Consumption::Retry, Progress::Retrying))
            }
            Err(PublishError::Permanent { reason, .. }) => {
                let words = format!("No broker takes the event for another attempt: {reason}");
                self.bury(consumer, given, turn, (Reason::Unroutable, &words, error)).await
            }
            Err(failure) => Err(format!("{error}; the next attempt cannot be scheduled: {failure}")),
        }
    }

    fn copy(&self, consumer: &Consumer<S>, given: &Given<'_>, turn: Turn, error: &str) -> Message {
        let next = turn.attempt + 1;
        // All groups share one topic, and consumers of several groups have one name.
        let id = format!("{}.{}.{}", given.event.id, self.runtime.group, consumer.name);
        let id = match turn.replay {
            0 => format!("{id}.{next}"),
            // A replay makes its own attempts: with the ids of the first ones they would pass for repeats.
            replay => format!("{id}.{replay}.{next}"),
        };
        let id = if id.len() <= MESSAGE_ID_LIMIT { id } else { coder_core::text::sha256_hex(&[id]) };
        let mut message = Message::of_event(id, Entity::Events, given.source);
        let error: String =
            redact(error).chars().filter(|c| !c.is_control()).take(ERROR_CHARACTERS).collect();
        message.properties.extend([
            (property::TARGET.to_owned(), json!(self.runtime.group)),
            (property::CONSUMER.to_owned(), json!(consumer.name)),
            (property::ATTEMPT.to_owned(), json!(next)),
            (LAST_ERROR.to_owned(), json!(error)),
        ]);
        let pause = pause(&self.runtime.ambient, turn.attempt);
        message.scheduled_at = self.runtime.ambient.now().checked_add(pause).ok();
        message
    }
}

/// Exponential back-off with full jitter.
fn pause(ambient: &Ambient, failed_attempts: u32) -> Duration {
    let cap = Duration::from_secs(1_u64 << failed_attempts.min(16)).min(LONGEST_PAUSE);
    let span = u64::try_from(cap.saturating_sub(SHORTEST_PAUSE).as_millis()).unwrap_or(u64::MAX);
    let random = u64::from_be_bytes(ambient.random::<8>());
    SHORTEST_PAUSE + Duration::from_millis(random % (span + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_core::{ManualClock, OsEntropy, Timestamp};

    #[test]
    fn pauses_grow_to_ten_minutes_and_differ() {
        let ambient = Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy);
        for (failed, longest) in [(1, 2), (2, 4), (9, 512), (10, 600), (4_000_000_000, 600)] {
            let pauses: Vec<Duration> = (0..200).map(|_| pause(&ambient, failed)).collect();
            let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(*least >= SHORTEST_PAUSE && *most <= Duration::from_secs(longest), "{failed}");
            assert!(
                most.saturating_sub(*least) > Duration::from_millis(longest * 250),
                "{failed}: {least:?} to {most:?}"
            );
        }
    }
}
