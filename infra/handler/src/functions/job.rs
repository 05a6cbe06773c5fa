//! One-time jobs as the function `run-job`. The record of a job is the truth, so a message that can be dealt with
//! is always a success, whatever came of the run.

use std::collections::BTreeMap;
use std::sync::Arc;

use coder_core::Failure;
use coder_database::{Partition, PlatformJob};
use coder_jobs::{JobFault, JobPolicy, policy};
use coder_middleware::runtime::Runtime;
use coder_telemetry::JobOutcome;
use serde_json::{Value, json};

use super::envelope::delivered;
use super::leased::{Ended, under_lease};
use super::timer::{Asked, Every, Ran};
use super::{Outcome, Run, invocation};
use crate::events::{Job, JobRun};
use crate::job_run::{Ledger, Taken};

/// What a message can start.
enum Work<S> {
    Job(Job<S>),
    /// A run of a timer that an operator asked for.
    Timer(Arc<Every<S>>),
}

/// The name of the job that runs a timer now.
pub(crate) fn timer_job(timer: &str) -> String {
    format!("every-{timer}")
}

pub(super) fn run_job<S: Clone + Send + Sync + 'static>(
    runtime: &Arc<Runtime>,
    service: &S,
    jobs: Vec<Job<S>>,
    timers: Vec<Arc<Every<S>>>,
) -> Run {
    let timers = timers.into_iter().map(|timer| (timer_job(timer.name()), Work::Timer(timer)));
    let jobs = jobs.into_iter().map(|job| (job.name.to_owned(), Work::Job(job)));
    let works: Arc<BTreeMap<String, Work<S>>> = Arc::new(jobs.chain(timers).collect());
    let (runtime, service) = (runtime.clone(), service.clone());
    Arc::new(move |envelope, id| {
        let (runtime, service, works) = (runtime.clone(), service.clone(), works.clone());
        Box::pin(async move {
            let message = match delivered(&envelope) {
                Ok(message) => message,
                Err(reason) => return Outcome::Reject(reason),
            };
            // The message names the record; the record says what is asked.
            let wanted = message["data"]["job"].as_str().unwrap_or_default();
            let Some(work) = works.get(wanted) else {
                return Outcome::Reject(format!("there is no job `{wanted}`"));
            };
            let ledger = match ledger(&runtime, work, &message, &id) {
                Ok(ledger) => Arc::new(ledger),
                Err(reason) => return Outcome::Reject(reason),
            };
            match work.run(service, &ledger).await {
                Ok(state) => Outcome::Done(json!({"job": ledger.id, "outcome": state})),
                Err(failure) => Outcome::Retry(failure.to_string()),
            }
        })
    })
}

fn ledger<S: Clone + Send + Sync + 'static>(
    runtime: &Arc<Runtime>,
    work: &Work<S>,
    message: &Value,
    invocation_id: &str,
) -> Result<Ledger, String> {
    let data = &message["data"];
    let container = data["container"].as_str().unwrap_or_default();
    let container = runtime.containers.iter().find(|one| one.name == container);
    let container = container.ok_or("the message names no container of this group")?.name;
    let partition = Partition::of_message(&PlatformJob::begin(), &data["partition"]);
    Ok(Ledger {
        invocation: invocation(runtime, work.name(), invocation_id.to_owned()),
        container,
        partition: partition.ok_or("the message names no partition")?,
        id: message["subject"].as_str().ok_or("the message names no job")?.to_owned(),
        owner: runtime.ambient.new_uuid().to_string(),
        counted: matches!(work, Work::Job(_)),
    })
}

impl<S: Clone + Send + Sync + 'static> Work<S> {
    /// Takes the job, runs it and writes what came of it.
    async fn run(&self, service: S, ledger: &Arc<Ledger>) -> Result<&'static str, Failure> {
        let policy = self.policy();
        let record = match ledger.take(&policy).await? {
            Taken::Run(record) => record,
            Taken::Nothing => return Ok("nothing"),
            Taken::Held => return Ok("held"),
        };
        let (input, attempt) = (record.input, record.attempts);
        let deadline = policy.deadline.min(policy::DEADLINE);
        let work = self.attempt(service, ledger.clone(), input, attempt);
        let ended = match under_lease(deadline, work, || ledger.renew()).await {
            Ended::Returned(result) => result,
            Ended::Broken(reason) => Err(JobFault::Retry(Failure::internal(reason))),
            Ended::LeaseLost => Err(JobFault::LeaseLost),
        };
        if ledger.finish(&policy, ended).await? {
            return Ok("ended");
        }
        let runtime = &ledger.invocation.runtime;
        tracing::warn!(job = self.name(), job.id = ledger.id, attempt, "another run took over a job");
        runtime.metrics.job(runtime.group, self.name(), JobOutcome::Skipped);
        Ok("lost")
    }

    async fn attempt(
        &self,
        service: S,
        ledger: Arc<Ledger>,
        input: Value,
        attempt: u32,
    ) -> Result<Value, JobFault> {
        match self {
            Self::Job(job) => {
                let own = &ledger.invocation;
                let invocation = invocation(&own.runtime, own.name, own.id.clone());
                let run = JobRun { invocation, id: ledger.id.clone(), attempt, ledger };
                (job.run)(service, run, input).await
            }
            Self::Timer(timer) => match timer.run(service, Asked::Now, &ledger.invocation.id).await? {
                Ran::Ended(Ok(())) => Ok(Value::Null),
                Ran::Ended(Err(error)) => Err(JobFault::Fail(error)),
                Ran::Held(_) => Err(JobFault::Retry(Failure::internal("the timer runs at this moment"))),
                Ran::Done | Ran::Noted | Ran::Lost => Err(JobFault::LeaseLost),
            },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Job(job) => job.name,
            Self::Timer(timer) => timer.name(),
        }
    }

    fn policy(&self) -> JobPolicy {
        match self {
            Self::Job(job) => job.policy,
            Self::Timer(_) => JobPolicy::default(),
        }
    }
}
