//! The function `on-event`: one event to every consumer of the group that asked for its type, each with its own
//! mark, attempts and dead letter, so that the failure of one is no other's business.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use coder_core::Failure;
use coder_database::Container;
use coder_middleware::runtime::Runtime;
use coder_queue::cloud_event;
use coder_queue::dead_letter::{Audience, Reason};
use coder_queue::message::property;
use coder_telemetry::Consumption;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::Value;

use super::dead_letter::Letters;
use super::envelope::Delivery;
use super::mark::{self, Progress, Turn};
use super::{DEADLINE, Outcome, act, invocation};
use crate::events::{Consumer, ConsumerFault, Event, Invocation};

/// Label of what reached no consumer.
pub(super) const NOBODY: &str = "none";

/// The consumers of a group.
pub(super) struct Consumers<S> {
    pub(super) runtime: Arc<Runtime>,
    pub(super) service: S,
    pub(super) letters: Letters,
    list: Vec<Consumer<S>>,
}

/// One event on its way to consumers.
pub(super) struct Given<'a> {
    pub(super) event: Event,
    pub(super) source: &'a Value,
    pub(super) delivery: &'a Delivery,
    pub(super) invocation_id: &'a str,
    /// Whether the message is for one consumer only.
    pub(super) alone: bool,
}

impl<S: Clone + Send + Sync + 'static> Consumers<S> {
    /// The consumers of a group that keeps its bookkeeping in `container`.
    pub(super) fn new(
        runtime: &Arc<Runtime>,
        service: &S,
        container: &Container,
        consumers: Vec<Consumer<S>>,
    ) -> Self {
        let letters = Letters::new(runtime, container, Audience::Group);
        Self { runtime: runtime.clone(), service: service.clone(), letters, list: consumers }
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.list.iter().map(|consumer| consumer.name).collect()
    }

    /// The consumers that asked for a type.
    pub(super) fn wanting<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Consumer<S>> {
        self.list.iter().filter(move |consumer| cloud_event::matches(consumer.pattern, kind))
    }

    /// Takes a delivery. It fails only if it is to be made again: consumers' failures end in later attempts or in
    /// dead letters.
    pub(super) async fn on_event(&self, envelope: &Value, invocation_id: &str) -> Outcome {
        let delivery = Delivery::read(envelope);
        if let Some(target) = delivery.property(property::TARGET).filter(|to| to != self.runtime.group) {
            tracing::warn!(target_group = target, "a message for another group was delivered here");
            return Outcome::Done(Value::Null);
        }
        let read = match &delivery.body {
            Ok(body) => Event::parse(body).map(|event| (event, body)),
            Err(unreadable) => Err(unreadable.reason.clone()),
        };
        let (event, source) = match read {
            Ok(read) => read,
            Err(reason) => return self.letters.unreadable(&delivery, &reason, invocation_id).await,
        };
        let only = delivery.property(property::CONSUMER);
        let given = Given { event, source, delivery: &delivery, invocation_id, alone: only.is_some() };
        let wanting: Vec<&Consumer<S>> = match &only {
            Some(name) => self.list.iter().filter(|consumer| consumer.name == name).collect(),
            None => self.wanting(&given.event.kind).collect(),
        };
        match (wanting.is_empty(), only.as_deref()) {
            (true, Some(name)) => self.gone(&given, name).await,
            (true, None) => {
                self.count(NOBODY, Consumption::Ignored);
                Outcome::Done(Value::Null)
            }
            (false, _) => {
                let handed = join_all(wanting.into_iter().map(|consumer| self.hand_over(consumer, &given)));
                let failures: Vec<String> = handed.await.into_iter().flatten().collect();
                if failures.is_empty() {
                    Outcome::Done(Value::Null)
                } else {
                    Outcome::Retry(failures.join("; "))
                }
            }
        }
    }

    /// Runs one consumer with one event, and nothing else.
    pub(super) async fn run_alone(&self, name: &str, event: &Value, invocation_id: &str) -> Outcome {
        let Some(consumer) = self.list.iter().find(|consumer| consumer.name == name) else {
            return Outcome::Reject(format!("there is no consumer `{name}`"));
        };
        match Event::parse(event) {
            Ok(event) => match self.run(consumer, event, invocation_id).await {
                Ok(()) => Outcome::Done(Value::Null),
                Err(Fault::Retry(reason)) => Outcome::Retry(reason),
                Err(Fault::Reject(reason)) => Outcome::Reject(reason),
            },
            Err(reason) => Outcome::Reject(reason),
        }
    }

    /// Gives the event to one consumer, and sees to what follows; answers why the delivery must be made again.
    async fn hand_over(&self, consumer: &Consumer<S>, given: &Given<'_>) -> Option<String> {
        let outcome = self.attempt(consumer, given).await;
        self.count(consumer.name, *outcome.as_ref().unwrap_or(&Consumption::Retry));
        outcome.err().map(|reason| {
            tracing::warn!(consumer = consumer.name, event.id = given.event.id, reason, "a delivery fails");
            format!("{}: {reason}", consumer.name)
        })
    }

    async fn attempt(&self, consumer: &Consumer<S>, given: &Given<'_>) -> Result<Consumption, String> {
        let turn = turn(consumer, given);
        if self.is_repeat(consumer, given, turn).await? {
            return Ok(Consumption::Duplicate);
        }
        let fault = self.run(consumer, given.event.clone(), given.invocation_id).await.err();
        // What another delivery has done meanwhile is neither tried again nor a dead letter.
        if fault.is_some() && self.is_repeat(consumer, given, turn).await? {
            return Ok(Consumption::Duplicate);
        }
        let (consumption, progress) = match fault {
            None => (Consumption::Done, Progress::Done),
            Some(Fault::Retry(error)) if turn.attempt < consumer.options.max_attempts => {
                if consumer.options.ordered {
                    // The broker holds back what follows until this event is taken.
                    return Err(error);
                }
                self.try_again(consumer, given, turn, &error).await?
            }
            Some(Fault::Retry(error)) => {
                let (name, attempts) = (consumer.name, turn.attempt);
                let words = format!(
                    "The consumer `{name}` failed at each of {attempts} attempts; the last time: {error}"
                );
                self.bury(consumer, given, turn, (Reason::AttemptsExhausted, &words, &error)).await?
            }
            Some(Fault::Reject(reason)) => {
                let words = format!("The consumer `{}` refused the event: {reason}", consumer.name);
                self.bury(consumer, given, turn, (Reason::Rejected, &words, &reason)).await?
            }
        };
        self.mark(consumer, given, (progress, turn)).await?;
        Ok(consumption)
    }

    async fn is_repeat(&self, consumer: &Consumer<S>, given: &Given<'_>, turn: Turn) -> Result<bool, String> {
        let known = mark::find(&self.runtime, &given.event.id, consumer.name).await.map_err(text)?;
        Ok(known.is_some_and(|mark| mark.data.covers(turn, given.alone)))
    }

    async fn mark(
        &self,
        consumer: &Consumer<S>,
        given: &Given<'_>,
        how: (Progress, Turn),
    ) -> Result<(), String> {
        let act = act(&self.runtime, given.invocation_id);
        let event = &given.event.id;
        mark::write(&self.runtime, &act, event, consumer.name, how).await.map_err(text)
    }

    async fn run(&self, consumer: &Consumer<S>, event: Event, invocation_id: &str) -> Result<(), Fault> {
        let correlation_id = event.correlation_id.clone();
        let own = invocation(&self.runtime, consumer.name, invocation_id.to_owned());
        let invocation = Invocation { correlation_id, ..own };
        let deadline = consumer.options.deadline.min(DEADLINE);
        // A consumer can panic before there is a future of it.
        let work = async { (consumer.run)(self.service.clone(), invocation, event).await };
        let work = AssertUnwindSafe(work).catch_unwind();
        match tokio::time::timeout(deadline, work).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(ConsumerFault::Retry(failure)))) => Err(Fault::Retry(text(failure))),
            Ok(Ok(Err(ConsumerFault::Reject(reason)))) => Err(Fault::Reject(reason)),
            Ok(Err(_)) => Err(Fault::Retry("the consumer panicked".into())),
            Err(_) => Err(Fault::Retry(format!("the consumer ran longer than {} s", deadline.as_secs_f32()))),
        }
    }

    pub(super) fn count(&self, consumer: &'static str, outcome: Consumption) {
        self.runtime.metrics.event_consumed(self.runtime.group, consumer, outcome);
    }
}

/// A consumer's failure in words.
enum Fault {
    Retry(String),
    Reject(String),
}

/// Attempts of an ordered consumer are deliveries of one message; of others, messages.
fn turn<S>(consumer: &Consumer<S>, given: &Given<'_>) -> Turn {
    let named = given.delivery.property(property::ATTEMPT).and_then(|attempt| attempt.parse().ok());
    let attempt = if consumer.options.ordered { given.delivery.count } else { named.unwrap_or(1) };
    Turn { replay: cloud_event::replays(given.source), attempt: attempt.max(1) }
}

/// The cause of a failure; it is kept for operators and shown to nobody else.
pub(super) fn text(failure: Failure) -> String {
    match failure {
        Failure::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    }
}
