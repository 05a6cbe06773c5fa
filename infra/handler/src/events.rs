//! Consumers, timers and jobs of a group, as the host invokes them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use coder_core::{Actor, ActorKind, Failure, OrganizationId, Timestamp};
use coder_database::transaction::Act;
use coder_database::{Partition, PlatformJob, Transaction};
use coder_jobs::JobFault;
use coder_middleware::runtime::Runtime;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A delivered event (CloudEvents 1.0).
#[derive(Debug, Clone)]
pub struct Event {
    /// Unique id; a repeat has the same.
    pub id: String,
    /// `coder.<group>.<entity>.<verb>`.
    pub kind: String,
    /// The resource that it is about.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// The tenant; `None` for events of the platform.
    pub organization_id: Option<OrganizationId>,
    /// The payload.
    pub data: Value,
}

impl Event {
    /// Reads the JSON form of an event; the error says what is wrong with it.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let text = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or(format!("`{name}` is missing or no text"))
        };
        if text("specversion")? != "1.0" {
            return Err("`specversion` is not 1.0".into());
        }
        let organization = text("organizationid")?;
        let organization_id = match organization.as_str() {
            "platform" => None,
            id => Some(id.parse().map_err(|_| "`organizationid` is no organization".to_owned())?),
        };
        Ok(Self {
            id: text("id")?,
            kind: text("type")?,
            subject: text("subject")?,
            time: text("time")?.parse().map_err(|_| "`time` is no RFC 3339 time".to_owned())?,
            organization_id,
            data: value.get("data").cloned().unwrap_or_default(),
        })
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
    /// It may succeed later: the broker delivers it again.
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
        Transaction::new(self.runtime.store.clone(), self.runtime.ambient.clone(), container, partition, act)
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

/// One run of a one-time job.
#[derive(Debug)]
pub struct JobRun {
    /// Evidence and transactions.
    pub invocation: Invocation,
    /// The job's id: that of its record.
    pub id: String,
    /// Which attempt this is; 1 is the first.
    pub attempt: u32,
}

impl JobRun {
    /// Says how far the job is, keeps the lease, and finds out whether it was cancelled: then the fault ends
    /// the run at a point of its own choice. Call it between steps, more often than once a minute.
    #[expect(clippy::unused_async, reason = "writes the record and renews the lease")]
    pub async fn progress(&self, percent: u8, note: &str) -> Result<(), JobFault> {
        tracing::debug!(job.id = self.id, percent, note, "a job goes on");
        Ok(())
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) type ErasedConsumer<S> =
    Arc<dyn Fn(S, Invocation, Event) -> Boxed<Result<(), ConsumerFault>> + Send + Sync>;
pub(crate) type ErasedTimer<S> = Arc<dyn Fn(S, Invocation) -> Boxed<Result<(), Failure>> + Send + Sync>;
pub(crate) type ErasedJob<S> = Arc<dyn Fn(S, JobRun, Value) -> Boxed<Result<Value, JobFault>> + Send + Sync>;

/// What a consumer takes.
pub(crate) struct Consumer<S> {
    pub(crate) name: &'static str,
    pub(crate) pattern: &'static str,
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
    pub(crate) run: ErasedJob<S>,
}
