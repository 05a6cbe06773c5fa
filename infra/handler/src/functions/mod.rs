//! The event functions of a group as the Functions host calls them: `POST /<function>` with an envelope, and an
//! answer that is never empty.

mod consume;
mod dead_letter;
mod envelope;
pub(crate) mod job;
pub(crate) mod leased;
mod mark;
mod retry;
pub(crate) mod timer;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coder_core::{Actor, ActorKind, Ambient};
use coder_database::PlatformJob;
use coder_database::transaction::Act;
use coder_middleware::runtime::Runtime;
use coder_queue::back_off;
use coder_queue::dead_letter::Audience;
use futures_util::FutureExt as _;
use serde_json::Value;

use crate::events::{Consumer, Invocation, Job, Timer};

use consume::Consumers;
use dead_letter::Letters;
use envelope::Delivery;
use timer::Every;

pub use envelope::envelope;

/// The function that takes the group's events: one, since the group has one subscription, whose messages several
/// functions would take from each other.
pub const ON_EVENT: &str = "on-event";

/// The function that takes what the broker itself gave up.
pub const ON_DEAD_LETTER: &str = "on-dead-letter";

/// The function that takes what the broker gave up of the group's one-time jobs.
pub const ON_DEAD_JOB: &str = "on-dead-job";

/// The function that runs the group's one-time jobs.
pub const RUN_JOB: &str = "run-job";

/// Longest run of a consumer or timer; well below the host's own limit, which would kill the process.
pub const DEADLINE: Duration = Duration::from_mins(4);

/// The longest that the answer to a failed delivery is held back; with the longest invocation it is shorter than a
/// lock is renewed.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// Longest invocation: the work, and noting what came of it.
const INVOCATION_LIMIT: Duration = DEADLINE.saturating_add(Duration::from_secs(5));

/// Largest envelope: a 1 MiB message in base64, escaped, with its metadata.
pub const ENVELOPE_LIMIT: usize = 4 * 1024 * 1024;

pub(crate) type Run =
    Arc<dyn Fn(Value, String) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// What came of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, with a result for jobs.
    Done(Value),
    /// Failed; a later try may succeed.
    Retry(String),
    /// Failed for good.
    Reject(String),
}

/// The event functions of a group, by name.
#[derive(Clone)]
pub struct Functions {
    ambient: Ambient,
    by_name: BTreeMap<String, Run>,
    consumers: BTreeMap<&'static str, Run>,
    timers: BTreeMap<&'static str, Run>,
}

impl fmt::Debug for Functions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.by_name.keys()).finish()
    }
}

impl Functions {
    /// Whether there is a function of this name; names are case-sensitive.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Names of all functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Runs a function with the host's envelope. A panic and a run over the deadline are failures.
    pub async fn invoke(&self, name: &str, envelope: Value, invocation_id: &str) -> Outcome {
        let Some(run) = self.by_name.get(name) else {
            return Outcome::Reject(format!("there is no function `{name}`"));
        };
        let work = AssertUnwindSafe(run(envelope, invocation_id.to_owned())).catch_unwind();
        match tokio::time::timeout(INVOCATION_LIMIT, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Retry("the function panicked".into()),
            Err(_) => {
                Outcome::Retry(format!("the function ran longer than {} s", INVOCATION_LIMIT.as_secs()))
            }
        }
    }

    /// [`Self::invoke`] for a host that makes a failed delivery again at once: the answer is held back, longer each
    /// time, so that a short failure of what stands behind us does not use up all deliveries.
    pub async fn invoke_patiently(&self, name: &str, envelope: Value, invocation_id: &str) -> Outcome {
        let delivered = [ON_EVENT, ON_DEAD_LETTER, RUN_JOB, ON_DEAD_JOB].contains(&name);
        let count = delivered.then(|| Delivery::read(&envelope).count);
        let outcome = self.invoke(name, envelope, invocation_id).await;
        if let (Some(count), Outcome::Retry(_)) = (count, &outcome) {
            tokio::time::sleep(back_off(&self.ambient, count).min(LONGEST_HOLD)).await;
        }
        outcome
    }

    /// Hands an event to one consumer alone and answers what it says: nothing is marked, tried again or kept as a
    /// dead letter. For tests of a consumer.
    pub async fn consume(&self, consumer: &str, event: &Value, invocation_id: &str) -> Outcome {
        match self.consumers.get(consumer) {
            Some(run) => run(event.clone(), invocation_id.to_owned()).await,
            None => Outcome::Reject(format!("there is no consumer `{consumer}`")),
        }
    }

    /// Runs a timer now, whatever the clock says, and takes no slot. For tests of what it does.
    pub async fn run_timer(&self, timer: &str, invocation_id: &str) -> Outcome {
        match self.timers.get(timer) {
            Some(run) => run(Value::Null, invocation_id.to_owned()).await,
            None => Outcome::Reject(format!("there is no timer `{timer}`")),
        }
    }
}

pub(crate) fn build<S: Clone + Send + Sync + 'static>(
    runtime: &Arc<Runtime>,
    service: &S,
    consumers: Vec<Consumer<S>>,
    timers: Vec<Timer<S>>,
    jobs: Vec<Job<S>>,
) -> Result<Functions, String> {
    let (by_name, consuming, timing) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let ambient = runtime.ambient.clone();
    let mut built = Functions { ambient, by_name, consumers: consuming, timers: timing };
    let container = runtime.containers.first();
    if !consumers.is_empty() {
        let container = container.ok_or("a group with consumers needs a container")?;
        built.take_events(Consumers::new(runtime, service, container, consumers));
    }
    let mut timed = Vec::new();
    for timer in timers {
        let every = Arc::new(Every::new(runtime, timer)?);
        let function = timer::function(every.clone(), service.clone());
        built.by_name.insert(format!("every-{}", every.name()), function);
        built.timers.insert(every.name(), timer::run_now(every.clone(), service.clone()));
        timed.push(every);
    }
    if !jobs.is_empty() || !timed.is_empty() {
        let letters = container.map(|container| Arc::new(Letters::new(runtime, container, Audience::Jobs)));
        if let Some(letters) = letters.clone() {
            built.by_name.insert(ON_DEAD_JOB.into(), job::on_dead_job(letters));
        }
        built.by_name.insert(RUN_JOB.into(), job::run_job(runtime, service, (jobs, timed), letters));
    }
    Ok(built)
}

impl Functions {
    fn take_events<S: Clone + Send + Sync + 'static>(&mut self, consumers: Consumers<S>) {
        let consumers = Arc::new(consumers);
        for name in consumers.names() {
            let consumers = consumers.clone();
            let run: Run = Arc::new(move |event, id| {
                let consumers = consumers.clone();
                Box::pin(async move { consumers.run_alone(name, &event, &id).await })
            });
            self.consumers.insert(name, run);
        }
        let taker = consumers.clone();
        let on_event: Run = Arc::new(move |envelope, id| {
            let consumers = taker.clone();
            Box::pin(async move { consumers.on_event(&envelope, &id).await })
        });
        let on_dead_letter: Run = Arc::new(move |envelope, id| {
            let consumers = consumers.clone();
            Box::pin(async move { consumers.on_dead_letter(&envelope, &id).await })
        });
        self.by_name.insert(ON_EVENT.into(), on_event);
        self.by_name.insert(ON_DEAD_LETTER.into(), on_dead_letter);
    }
}

/// What keeps account of deliveries.
fn act(runtime: &Runtime, invocation_id: &str) -> Act {
    Act {
        actor: Actor::new(ActorKind::Job, format!("{}.{ON_EVENT}", runtime.group)),
        action: ON_EVENT.to_owned(),
        request_id: invocation_id.to_owned(),
        group: runtime.group,
        traceparent: None,
    }
}

/// A run of its own accord: what has a cause names it.
pub(crate) fn invocation(runtime: &Arc<Runtime>, name: &'static str, id: String) -> Invocation {
    Invocation { runtime: runtime.clone(), job: PlatformJob::begin(), name, id, correlation_id: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_core::{ManualClock, OsEntropy, Timestamp};
    use serde_json::json;
    use tokio::time::Instant;

    /// A function that answers what its envelope says.
    fn functions() -> Functions {
        let run: Run = Arc::new(|envelope, _| {
            Box::pin(async move {
                match envelope["outcome"].as_str() {
                    Some("retry") => Outcome::Retry("the store is away".into()),
                    Some("reject") => Outcome::Reject("never".into()),
                    _ => Outcome::Done(Value::Null),
                }
            })
        });
        let names = [ON_EVENT, ON_DEAD_LETTER, RUN_JOB, ON_DEAD_JOB, "every-tidy"];
        let by_name = names.into_iter().map(|name| (name.to_owned(), run.clone())).collect();
        let ambient = Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy);
        Functions { ambient, by_name, consumers: BTreeMap::new(), timers: BTreeMap::new() }
    }

    async fn seconds(function: &str, outcome: &str, count: u32) -> f32 {
        let (functions, start) = (functions(), Instant::now());
        let envelope = json!({"outcome": outcome, "Metadata": {"DeliveryCount": count.to_string()}});
        functions.invoke_patiently(function, envelope, "call").await;
        start.elapsed().as_secs_f32()
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_delivery_is_answered_later_each_time() {
        for function in [ON_EVENT, ON_DEAD_LETTER, RUN_JOB, ON_DEAD_JOB] {
            for (count, least, most) in [(1, 2.0, 2.6), (2, 4.0, 5.1), (4, 16.0, 20.1), (9, 30.0, 30.1)] {
                let took = seconds(function, "retry", count).await;
                assert!((least..most).contains(&took), "{function}, {count}: {took} s");
            }
            for outcome in ["done", "reject"] {
                assert!(seconds(function, outcome, 5).await < 0.1, "{function}, {outcome}");
            }
        }
        // A timer is not called again, so nothing is won.
        assert!(seconds("every-tidy", "retry", 5).await < 0.1);
    }
}
