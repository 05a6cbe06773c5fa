//! What becomes a dead letter of the group: what a consumer refused or gave up, what nobody can read, what starts no
//! job, and, by the functions `on-dead-letter` and `on-dead-job`, what the broker itself gave up.

use std::sync::Arc;

use coder_core::Failure;
use coder_database::Container;
use coder_middleware::runtime::Runtime;
use coder_queue::dead_letter::{Audience, DeadLetter, DeadLetters, Reason, State, given_up};
use coder_queue::message::property;
use coder_telemetry::Consumption;
use serde_json::Value;

use super::consume::{Consumers, Given, NOBODY, text};
use super::envelope::Delivery;
use super::mark::{self, Progress, Turn};
use super::{Outcome, act};
use crate::events::{Consumer, Event};

/// Where a group keeps what it could not take.
pub(super) struct Letters {
    runtime: Arc<Runtime>,
    store: DeadLetters,
    audience: Audience,
}

impl Letters {
    /// The dead letters of a group that keeps them in `container`, for messages to this audience.
    pub(super) fn new(runtime: &Arc<Runtime>, container: &Container, audience: Audience) -> Self {
        let store = DeadLetters::new(runtime.store.clone(), container, runtime.group);
        Self { runtime: runtime.clone(), store, audience }
    }

    /// A dead letter with the event of a delivery, or with what came if that is none.
    fn letter(&self, delivery: &Delivery, reason: Reason, words: String) -> DeadLetter {
        let event = delivery.body.as_ref().ok().filter(|body| Event::parse(body).is_ok());
        let reason = if event.is_some() { reason } else { Reason::Malformed };
        let letter = DeadLetter::new(self.runtime.group, reason, words, self.runtime.ambient.now());
        let mut letter = match event {
            Some(event) => letter.with_event(event.clone()),
            None => letter.with_raw(&raw(delivery)),
        };
        letter.audience = self.audience;
        letter.attempts = delivery.count;
        letter
    }

    async fn keep(&self, letter: DeadLetter, delivery: &Delivery, id: &str) -> Result<(), Failure> {
        let key = letter.id(delivery.message_id.as_deref());
        let (reason, consumer) = (letter.reason.as_str(), letter.consumer.as_deref().unwrap_or(NOBODY));
        tracing::error!(dead_letter.id = key, reason, consumer, "a message went to the dead letters");
        self.store.keep(&self.runtime.ambient, &act(&self.runtime, id), &key, letter).await
    }

    /// Keeps dead letters that are no failure of a consumer; the delivery is done with them.
    async fn kept(&self, letters: Vec<DeadLetter>, delivery: &Delivery, id: &str) -> Outcome {
        self.runtime.metrics.event_consumed(self.runtime.group, NOBODY, Consumption::Rejected);
        for letter in letters {
            if let Err(failure) = self.keep(letter, delivery, id).await {
                return Outcome::Retry(format!("the dead letter cannot be kept: {}", text(failure)));
            }
        }
        Outcome::Done(Value::Null)
    }

    /// Keeps a message that holds no event.
    pub(super) async fn unreadable(&self, delivery: &Delivery, reason: &str, id: &str) -> Outcome {
        let words = format!("The message is no event that can be read. {reason}");
        self.kept(vec![self.letter(delivery, Reason::Malformed, words)], delivery, id).await
    }

    /// Keeps a message that starts no job.
    pub(super) async fn no_job(&self, delivery: &Delivery, reason: &str, id: &str) -> Outcome {
        let words = format!("The message starts no job: {}.", reason.trim_end_matches('.'));
        self.kept(vec![self.letter(delivery, Reason::Unroutable, words)], delivery, id).await
    }

    /// Keeps the message of a job that the broker gave up.
    pub(super) async fn given_up_job(&self, delivery: &Delivery, id: &str) -> Outcome {
        self.kept(vec![self.given_up(delivery)], delivery, id).await
    }

    fn given_up(&self, delivery: &Delivery) -> DeadLetter {
        let (reason, words) = why(delivery);
        let mut letter = self.letter(delivery, reason, words);
        // The broker counts on: this is a delivery too, but of the dead letter.
        letter.attempts = delivery.count.saturating_sub(1);
        letter
    }
}

impl<S: Clone + Send + Sync + 'static> Consumers<S> {
    /// Keeps the event of a consumer that is done trying.
    pub(super) async fn bury(
        &self,
        consumer: &Consumer<S>,
        given: &Given<'_>,
        turn: Turn,
        (reason, words, error): (Reason, &str, &str),
    ) -> Result<(Consumption, Progress), String> {
        let letter = self.letters.letter(given.delivery, reason, words.to_owned());
        let mut letter = letter.with_error(error);
        letter.consumer = Some(consumer.name.to_owned());
        letter.attempts = turn.attempt;
        self.letters.keep(letter, given.delivery, given.invocation_id).await.map_err(text)?;
        Ok((Consumption::Rejected, Progress::Dead))
    }

    /// Keeps the event of a consumer that is not there.
    pub(super) async fn gone(&self, given: &Given<'_>, name: &str) -> Outcome {
        let words = format!("The group has no consumer `{name}` (any more).");
        let mut letter = self.letters.letter(given.delivery, Reason::Unroutable, words);
        letter.consumer = Some(name.to_owned());
        self.letters.kept(vec![letter], given.delivery, given.invocation_id).await
    }

    /// Takes a message that the broker gave up. It fails only if the dead letters cannot be kept.
    pub(super) async fn on_dead_letter(&self, envelope: &Value, invocation_id: &str) -> Outcome {
        let delivery = Delivery::read(envelope);
        let mut letter = self.letters.given_up(&delivery);
        letter.consumer = delivery.property(property::CONSUMER);
        match self.for_each_consumer(letter).await {
            Ok(letters) => self.letters.kept(letters, &delivery, invocation_id).await,
            Err(failure) => Outcome::Retry(text(failure)),
        }
    }

    /// Makes of an event for everybody a dead letter for each consumer that has not come to it: its mark goes sooner
    /// than dead letters do, and then a replay could not tell any more.
    async fn for_each_consumer(&self, letter: DeadLetter) -> Result<Vec<DeadLetter>, Failure> {
        let (None, Some(event), Some(kind)) = (&letter.consumer, &letter.event_id, &letter.event_type) else {
            return Ok(vec![letter]);
        };
        let (mut wanted, mut letters) = (false, Vec::new());
        for name in self.wanting(kind).map(|consumer| consumer.name) {
            wanted = true;
            if mark::find(&self.runtime, event, name).await?.is_none() {
                letters.push(DeadLetter { consumer: Some(name.to_owned()), ..letter.clone() });
            }
        }
        if letters.is_empty() {
            // What all have taken is kept, but is not delivered again.
            let state = if wanted { State::Dropped } else { letter.state };
            letters.push(DeadLetter { state, ..letter });
        }
        Ok(letters)
    }
}

/// The broker's reason, as a code and in words.
fn why(delivery: &Delivery) -> (Reason, String) {
    let given = |name| delivery.property_or_metadata(name);
    given_up(given("DeadLetterReason").as_deref(), given("DeadLetterErrorDescription").as_deref())
}

/// What is kept of a message that is no event.
fn raw(delivery: &Delivery) -> Vec<u8> {
    match &delivery.body {
        Ok(body) => body.to_string().into_bytes(),
        Err(unreadable) => unreadable.raw.clone(),
    }
}
