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

use coder_database::PlatformJob;
use coder_middleware::runtime::Runtime;
use futures_util::FutureExt as _;
use serde_json::Value;

use crate::events::{Consumer, Invocation, Job, Timer};

use consume::Consumers;
use timer::Every;

pub use envelope::envelope;

/// The function that takes the group's events: one, since the group has one subscription, whose messages several
/// functions would take from each other.
pub const ON_EVENT: &str = "on-event";

/// The function that takes what the broker itself gave up.
pub const ON_DEAD_LETTER: &str = "on-dead-letter";

/// Longest run of a consumer or timer; well below the host's own limit, which would kill the process.
pub const DEADLINE: Duration = Duration::from_mins(4);

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
#[derive(Clone, Default)]
pub struct Functions {
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
    let mut built = Functions::default();
    if !consumers.is_empty() {
        let container = runtime.containers.first();
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
        built.by_name.insert("run-job".into(), job::run_job(runtime, service, jobs, timed));
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

pub(crate) fn invocation(runtime: &Arc<Runtime>, name: &'static str, id: String) -> Invocation {
    Invocation { runtime: runtime.clone(), job: PlatformJob::begin(), name, id }
}
