//! Consumers, timers and jobs of a group, as the host invokes them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coder_core::{Actor, ActorKind, Failure, OrganizationId, Timestamp};
use coder_database::transaction::Act;
use coder_database::{Partition, PlatformJob, Transaction};
use coder_jobs::{JobFault, JobPolicy};
use coder_middleware::runtime::Runtime;
use coder_queue::cloud_event;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::job_run::JobRun;

/// A delivered event (CloudEvents 1.0).
#[derive(Debug, Clone)]
pub struct Event {
    /// Unique id; a repeat has the same.
    pub id: String,
    /// `coder.<group>.<entity>.<verb>`.
    pub kind: String,
    /// Who published it: `/functions/<group>`.
    pub source: String,
    /// The resource that it is about.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// The tenant; `None` for events of the platform.
    pub organization_id: Option<OrganizationId>,
    /// The request from which it follows, if it says so.
    pub correlation_id: Option<String>,
    /// The payload.
    pub data: Value,
}

impl Event {
    /// Reads the JSON form of an event; the error names everything that is wrong with it.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let faults = cloud_event::faults(value);
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        match (faults.is_empty(), text("time").parse()) {
            (true, Ok(time)) => Ok(Self {
                id: text("id"),
                kind: text("type"),
                source: text("source"),
                subject: text("subject"),
                time,
                organization_id: text("organizationid").parse().ok(),
                correlation_id: Some(text("correlationid")).filter(|id| !id.is_empty()),
                data: value.get("data").cloned().unwrap_or_default(),
            }),
            _ => Err(cloud_event::sentence(&faults)),
        }
    }

    /// The payload as a `T`; one that does not fit is rejected, since trying again can't help.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, ConsumerFault> {
        T::deserialize(&self.data)
            .map_err(|error| ConsumerFault::Reject(format!("the payload does not fit: {error}")))
    }
}

/// Why a delivery did not succeed.
#[derive(Debug)]
pub enum ConsumerFault {
    /// It may succeed later: the event comes again after a while.
    Retry(Failure),
    /// It never will: the event goes to the dead letters with this reason.
    Reject(String),
}

impl From<Failure> for ConsumerFault {
    fn from(failure: Failure) -> Self {
        Self::Retry(failure)
    }
}

impl fmt::Display for ConsumerFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(failure) => write!(out, "retry: {failure}"),
            Self::Reject(reason) => write!(out, "reject: {reason}"),
        }
    }
}

/// One run of a consumer, timer or job: its evidence, and its transactions.
#[derive(Debug)]
pub struct Invocation {
    /// The services of the platform.
    pub runtime: Arc<Runtime>,
    /// Evidence that no caller's request runs this.
    pub job: PlatformJob,
    /// The consumer's, timer's or job's name.
    pub name: &'static str,
    /// The invocation, for logs and audit entries.
    pub id: String,
    /// The request from which the event or job follows; what follows from this run carries it on.
    pub correlation_id: Option<String>,
}

impl Invocation {
    /// Opens a transaction in the name of this job.
    pub fn begin(&self, container: &'static str, partition: Partition) -> Transaction {
        let act = Act {
            actor: Actor::new(ActorKind::Job, format!("{}.{}", self.runtime.group, self.name)),
            action: self.name.to_owned(),
            request_id: self.id.clone(),
            group: self.runtime.group,
            traceparent: None,
        };
        let (store, ambient) = (self.runtime.store.clone(), self.runtime.ambient.clone());
        let mut transaction = Transaction::new(store, ambient, container, partition, act);
        if let Some(request_id) = &self.correlation_id {
            transaction.follow_from(request_id);
        }
        transaction
    }

    /// Commits, and has the events published.
    pub async fn commit(&self, transaction: Transaction) -> Result<(), Failure> {
        let committed = transaction.commit().await?;
        if !committed.outbox.is_empty() {
            self.runtime.outbox.committed(committed.outbox);
        }
        Ok(())
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) type ErasedConsumer<S> =
    Arc<dyn Fn(S, Invocation, Event) -> Boxed<Result<(), ConsumerFault>> + Send + Sync>;
pub(crate) type ErasedTimer<S> = Arc<dyn Fn(S, Invocation) -> Boxed<Result<(), Failure>> + Send + Sync>;
pub(crate) type ErasedJob<S> = Arc<dyn Fn(S, JobRun, Value) -> Boxed<Result<Value, JobFault>> + Send + Sync>;

/// How a consumer is given events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// The longest run of one attempt; at most [`crate::functions::DEADLINE`].
    pub deadline: Duration,
    /// Attempts after which an event is a dead letter; at least 1.
    pub max_attempts: u32,
    /// Whether events about one subject come in order: one that fails holds back those that follow it, so an
    /// attempt that fails is made again at once and without a pause. Where any consumer of a group is ordered, its
    /// subscription is.
    pub ordered: bool,
}

impl ConsumerOptions {
    /// Those of a consumer that names none.
    pub const USUAL: Self = Self { deadline: crate::functions::DEADLINE, max_attempts: 10, ordered: false };
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How often [`retry_stale`] tries.
const STALE_TRIES: u32 = 8;

/// Runs a step of a consumer or job again, as long as somebody else changes what it has read; at most 8 times.
/// Each try opens its own transaction.
pub async fn retry_stale<T, W, R>(step: W) -> Result<T, Failure>
where
    W: FnMut() -> R,
    R: Future<Output = Result<T, Failure>>,
{
    retry_stale_up_to(STALE_TRIES, step).await
}

/// [`retry_stale`] with at most `tries` tries, for documents on which many writers meet.
pub async fn retry_stale_up_to<T, W, R>(tries: u32, mut step: W) -> Result<T, Failure>
where
    W: FnMut() -> R,
    R: Future<Output = Result<T, Failure>>,
{
    for _ in 1..tries {
        match step().await {
            Err(Failure::Stale) => {}
            other => return other,
        }
    }
    step().await
}

/// What a consumer takes.
pub(crate) struct Consumer<S> {
    pub(crate) name: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) options: ConsumerOptions,
    pub(crate) run: ErasedConsumer<S>,
}

/// When a timer is due.
pub(crate) struct Timer<S> {
    pub(crate) name: &'static str,
    pub(crate) schedule: &'static str,
    pub(crate) run: ErasedTimer<S>,
}

/// A one-time job.
pub(crate) struct Job<S> {
    pub(crate) name: &'static str,
    pub(crate) policy: JobPolicy,
    pub(crate) run: ErasedJob<S>,
}
