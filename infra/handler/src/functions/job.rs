//! One-time jobs as the function `run-job`. The record of a job is the truth, so a message that can be dealt with
//! is always a success, whatever came of the run.

use std::collections::BTreeMap;
use std::sync::Arc;

use coder_core::Failure;
use coder_database::{Partition, PlatformJob};
use coder_jobs::{JobFault, JobPolicy, JobRecord, policy};
use coder_middleware::runtime::Runtime;
use coder_telemetry::JobOutcome;
use serde_json::{Value, json};

use super::dead_letter::Letters;
use super::envelope::Delivery;
use super::leased::{Ended, under_lease};
use super::timer::{Asked, Every, Ran};
use super::{Outcome, Run, invocation};
use crate::events::{Invocation, Job, JobRun};
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

/// The function `on-dead-job`.
pub(super) fn on_dead_job(letters: Arc<Letters>) -> Run {
    Arc::new(move |envelope, id| {
        let letters = letters.clone();
        Box::pin(async move { letters.given_up_job(&Delivery::read(&envelope), &id).await })
    })
}

/// The function `run-job`. A message that starts no job is kept in `letters` with the reason.
pub(super) fn run_job<S: Clone + Send + Sync + 'static>(
    runtime: &Arc<Runtime>,
    service: &S,
    (jobs, timers): (Vec<Job<S>>, Vec<Arc<Every<S>>>),
    letters: Option<Arc<Letters>>,
) -> Run {
    let timers = timers.into_iter().map(|timer| (timer_job(timer.name()), Work::Timer(timer)));
    let jobs = jobs.into_iter().map(|job| (job.name.to_owned(), Work::Job(job)));
    let works: Arc<BTreeMap<String, Work<S>>> = Arc::new(jobs.chain(timers).collect());
    let (runtime, service) = (runtime.clone(), service.clone());
    Arc::new(move |envelope, id| {
        let (runtime, service, works) = (runtime.clone(), service.clone(), works.clone());
        let letters = letters.clone();
        Box::pin(async move {
            let delivery = Delivery::read(&envelope);
            let found = match &delivery.body {
                Ok(message) => find(&runtime, &works, message, &id),
                Err(unreadable) => Err(unreadable.reason.clone()),
            };
            match (found, letters) {
                (Ok((work, ledger)), _) => match work.run(service, &Arc::new(ledger)).await {
                    Ok(answer) => Outcome::Done(answer),
                    Err(failure) => Outcome::Retry(failure.to_string()),
                },
                (Err(reason), Some(letters)) => letters.no_job(&delivery, &reason, &id).await,
                (Err(reason), None) => Outcome::Reject(reason),
            }
        })
    })
}

/// The work that a message asks for, and where its record is.
fn find<'a, S: Clone + Send + Sync + 'static>(
    runtime: &Arc<Runtime>,
    works: &'a BTreeMap<String, Work<S>>,
    message: &Value,
    invocation_id: &str,
) -> Result<(&'a Work<S>, Ledger), String> {
    // The message names the record; the record says what is asked.
    let wanted = message["data"]["job"].as_str().unwrap_or_default();
    let work = works.get(wanted).ok_or_else(|| format!("there is no job `{wanted}`"))?;
    Ok((work, ledger(runtime, work, message, invocation_id)?))
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
    let correlation_id = message["correlationid"].as_str().map(str::to_owned);
    let own = invocation(runtime, work.name(), invocation_id.to_owned());
    Ok(Ledger {
        invocation: Invocation { correlation_id, ..own },
        container,
        partition: partition.ok_or("the message names no partition")?,
        id: message["subject"].as_str().ok_or("the message names no job")?.to_owned(),
        owner: runtime.ambient.new_uuid().to_string(),
        counted: matches!(work, Work::Job(_)),
    })
}

impl<S: Clone + Send + Sync + 'static> Work<S> {
    /// Runs the job and answers what came of it.
    async fn run(&self, service: S, ledger: &Arc<Ledger>) -> Result<Value, Failure> {
        let outcome = self.take_and_run(service, ledger).await?;
        Ok(json!({"job": ledger.id, "outcome": outcome}))
    }

    /// Takes the job, runs it and writes what came of it.
    async fn take_and_run(&self, service: S, ledger: &Arc<Ledger>) -> Result<&'static str, Failure> {
        let policy = self.policy();
        let record = match ledger.take(&policy).await? {
            Taken::Run(record) => record,
            Taken::Nothing => return Ok("nothing"),
            Taken::Held => return Ok("held"),
        };
        let attempt = record.attempts;
        let deadline = policy.deadline.min(policy::DEADLINE);
        let work = self.attempt(service, ledger.clone(), *record);
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

    async fn attempt(&self, service: S, ledger: Arc<Ledger>, record: JobRecord) -> Result<Value, JobFault> {
        match self {
            Self::Job(job) => {
                let own = &ledger.invocation;
                let correlation_id = own.correlation_id.clone();
                let invocation = invocation(&own.runtime, own.name, own.id.clone());
                let invocation = Invocation { correlation_id, ..invocation };
                let last_try = record.is_last_try(&job.policy);
                let id = ledger.id.clone();
                let run = JobRun { invocation, id, attempt: record.attempts, last_try, ledger };
                (job.run)(service, run, record.input).await
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
