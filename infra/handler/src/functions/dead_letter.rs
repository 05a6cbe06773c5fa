//! What becomes a dead letter of the group: what a consumer refused or gave up, what nobody can read, and, by the
//! function `on-dead-letter`, what the broker itself gave up.

use coder_core::Failure;
use coder_queue::dead_letter::{DeadLetter, Reason};
use coder_queue::message::property;
use coder_telemetry::Consumption;
use serde_json::Value;

use super::Outcome;
use super::consume::{Consumers, Given, NOBODY, text};
use super::envelope::Delivery;
use super::mark::{Progress, Turn};
use crate::events::{Consumer, Event};

impl<S: Clone + Send + Sync + 'static> Consumers<S> {
    /// Keeps the event of a consumer that is done trying.
    pub(super) async fn bury(
        &self,
        consumer: &Consumer<S>,
        given: &Given<'_>,
        turn: Turn,
        (reason, words, error): (Reason, &str, &str),
    ) -> Result<(Consumption, Progress), String> {
        let letter = DeadLetter::new(self.runtime.group, reason, words, self.runtime.ambient.now());
        let mut letter = letter.with_event(given.source.clone()).with_error(error);
        letter.consumer = Some(consumer.name.to_owned());
        letter.attempts = turn.attempt;
        self.keep(letter, given.delivery, given.invocation_id).await.map_err(text)?;
        Ok((Consumption::Rejected, Progress::Dead))
    }

    async fn keep(&self, letter: DeadLetter, delivery: &Delivery, id: &str) -> Result<(), Failure> {
        let key = letter.id(delivery.message_id.as_deref());
        let (reason, consumer) = (letter.reason.as_str(), letter.consumer.as_deref().unwrap_or(NOBODY));
        tracing::error!(dead_letter.id = key, reason, consumer, "a message went to the dead letters");
        self.dead_letters.keep(&self.runtime.ambient, &self.act(id), &key, letter).await
    }

    /// Keeps a message that holds no event.
    pub(super) async fn unreadable(&self, delivery: &Delivery, reason: &str, id: &str) -> Outcome {
        let words = format!("The message is no event that can be read. {reason}");
        let letter =
            DeadLetter::new(self.runtime.group, Reason::Malformed, words, self.runtime.ambient.now());
        let mut letter = letter.with_raw(&raw(delivery));
        letter.attempts = delivery.count;
        self.kept(letter, delivery, id).await
    }

    /// Keeps the event of a consumer that is not there.
    pub(super) async fn gone(&self, given: &Given<'_>, name: &str) -> Outcome {
        let words = format!("The group has no consumer `{name}` (any more).");
        let letter =
            DeadLetter::new(self.runtime.group, Reason::Unroutable, words, self.runtime.ambient.now());
        let mut letter = letter.with_event(given.source.clone());
        letter.consumer = Some(name.to_owned());
        self.kept(letter, given.delivery, given.invocation_id).await
    }

    /// Keeps a dead letter that is nobody's in particular; the delivery is done with it.
    async fn kept(&self, letter: DeadLetter, delivery: &Delivery, id: &str) -> Outcome {
        self.count(NOBODY, Consumption::Rejected);
        match self.keep(letter, delivery, id).await {
            Ok(()) => Outcome::Done(Value::Null),
            Err(failure) => Outcome::Retry(format!("the dead letter cannot be kept: {}", text(failure))),
        }
    }

    /// Takes a message that the broker gave up. It fails only if the dead letter cannot be kept.
    pub(super) async fn on_dead_letter(&self, envelope: &Value, invocation_id: &str) -> Outcome {
        let delivery = Delivery::read(envelope);
        let (reason, words) = why(&delivery);
        let event = delivery.body.as_ref().ok().filter(|body| Event::parse(body).is_ok());
        let reason = if event.is_some() { reason } else { Reason::Malformed };
        let letter = DeadLetter::new(self.runtime.group, reason, words, self.runtime.ambient.now());
        let mut letter = match event {
            Some(event) => letter.with_event(event.clone()),
            None => letter.with_raw(&raw(&delivery)),
        };
        letter.consumer = delivery.property(property::CONSUMER);
        letter.attempts = delivery.count;
        self.kept(letter, &delivery, invocation_id).await
    }
}

/// The broker's reason, as a code and in words.
fn why(delivery: &Delivery) -> (Reason, String) {
    let given = delivery.property_or_metadata("DeadLetterReason").unwrap_or_default();
    let (reason, words) = match given.as_str() {
        "MaxDeliveryCountExceeded" => (
            Reason::DeliveryCountExceeded,
            format!("It was delivered {} times and never taken; did the process crash?", delivery.count),
        ),
        "TTLExpiredException" => {
            (Reason::Expired, "It waited longer than messages are kept; was the group down?".to_owned())
        }
        "" => (Reason::Unroutable, "The broker gave it up and did not say why.".to_owned()),
        other => (Reason::Unroutable, format!("The broker gave it up: {other}.")),
    };
    let more = delivery.property_or_metadata("DeadLetterErrorDescription");
    (reason, more.map_or_else(|| words.clone(), |more| format!("{words} {more}")))
}

/// What is kept of a message that is no event.
fn raw(delivery: &Delivery) -> Vec<u8> {
    match &delivery.body {
        Ok(body) => body.to_string().into_bytes(),
        Err(unreadable) => unreadable.raw.clone(),
    }
}
