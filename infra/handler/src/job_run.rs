//! One run of a one-time job: what the job's code is given, and the record that the run writes. Every write is
//! fenced: a run that another has taken over from changes nothing any more.

use std::fmt;
use std::sync::Arc;

use coder_core::{Failure, Timestamp};
use coder_database::{Partition, Record, Repository, Transaction};
use coder_jobs::record::{Claim, RESULT_BYTES, RETENTION_SECONDS, send};
use coder_jobs::{JobFault, JobPolicy, JobRecord, JobState};
use coder_telemetry::{JobOutcome, redact};
use serde_json::Value;

use crate::events::Invocation;
use crate::functions::leased::reason;

/// How often a write is tried again because the record was changed meanwhile.
const STALE_TRIES: u32 = 8;

/// One run of a one-time job.
#[derive(Debug)]
pub struct JobRun {
    /// Evidence and transactions.
    pub invocation: Invocation,
    /// The job's id: that of its record.
    pub id: String,
    /// Which run of the job this is; 1 is the first.
    pub attempt: u32,
    /// Whether the job is given up if this run fails.
    pub last_try: bool,
    pub(crate) ledger: Arc<Ledger>,
}

impl JobRun {
    /// Says how far the job is, keeps the lease, and finds out whether it was cancelled: then the fault ends
    /// the run at a point of its own choice. Call it between steps, more often than once a minute. The fault is
    /// [`JobFault::LeaseLost`] if another run has taken over.
    pub async fn progress(&self, percent: u8, note: &str) -> Result<(), JobFault> {
        let now = self.ledger.invocation.runtime.ambient.now();
        let record = self
            .ledger
            .write(|record| {
                record.data.progress = percent.min(100);
                record.data.note = Some(note.to_owned());
                record.data.renew(now);
            })
            .await?
            .ok_or(JobFault::LeaseLost)?;
        if record.cancel_requested { Err(JobFault::Cancelled) } else { Ok(()) }
    }
}

/// Where the record of a job is, and which run writes it.
pub(crate) struct Ledger {
    pub(crate) invocation: Invocation,
    pub(crate) container: &'static str,
    pub(crate) partition: Partition,
    pub(crate) id: String,
    /// This run, among all.
    pub(crate) owner: String,
    /// Whether its end is counted here; runs of timers are counted where timers run.
    pub(crate) counted: bool,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ledger").field("id", &self.id).field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// What a host finds that was told of a job.
#[derive(Debug)]
pub(crate) enum Taken {
    /// This run has it now.
    Run(Box<JobRecord>),
    /// There is nothing to run.
    Nothing,
    /// Another run has it; the message comes again.
    Held,
}

impl Ledger {
    fn now(&self) -> Timestamp {
        self.invocation.runtime.ambient.now()
    }

    /// A transaction of bookkeeping: nobody's act.
    fn begin(&self) -> Transaction {
        self.invocation.begin(self.container, self.partition.clone()).without_audit()
    }

    async fn read(&self) -> Result<Option<Record<JobRecord>>, Failure> {
        let records = Repository::<JobRecord>::new(self.invocation.runtime.store.clone(), self.container);
        records.find(&self.partition, &self.id).await
    }

    /// Takes the job, if it is to run now.
    pub(crate) async fn take(&self, policy: &JobPolicy) -> Result<Taken, Failure> {
        let mut tries = 0;
        loop {
            match self.take_once(policy).await {
                Err(Failure::Stale) if tries < STALE_TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn take_once(&self, policy: &JobPolicy) -> Result<Taken, Failure> {
        let Some(before) = self.read().await? else {
            tracing::warn!(job.id = self.id, "the record of a job is gone, so it does not run");
            return Ok(Taken::Nothing);
        };
        let mut after = before.clone();
        let mut transaction = self.begin();
        let taken = match after.data.claim(policy, &self.owner, &self.invocation.runtime.ambient) {
            Claim::Nothing => return Ok(Taken::Nothing),
            Claim::Held(until) => {
                // Failing the delivery would bring it back at once, and use it up before the lease ends.
                let again = until.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap_or(until);
                send(&mut transaction, &before, Some(again));
                Taken::Held
            }
            Claim::End => {
                let ended = after.data.clone();
                self.keep_for_a_while(&mut after);
                transaction.update(&before, after)?;
                self.invocation.commit(transaction).await?;
                self.tell(&ended);
                return Ok(Taken::Nothing);
            }
            Claim::Later => {
                send(&mut transaction, &after, Some(after.data.due_at));
                transaction.update(&before, after)?;
                Taken::Nothing
            }
            Claim::Run => {
                let record = after.data.clone();
                transaction.update(&before, after)?;
                Taken::Run(Box::new(record))
            }
        };
        self.invocation.commit(transaction).await?;
        Ok(taken)
    }

    /// Makes the lease last; false if it is another's.
    pub(crate) async fn renew(&self) -> Result<bool, Failure> {
        let now = self.now();
        Ok(self.write(|record| record.data.renew(now)).await?.is_some())
    }

    /// Changes the record while this run has the lease; none if another has taken over. A run that has failed
    /// is followed by a message for the next attempt, in the same transaction.
    async fn write(&self, change: impl Fn(&mut Record<JobRecord>)) -> Result<Option<JobRecord>, Failure> {
        let mut tries = 0;
        loop {
            let Some(before) = self.read().await?.filter(|record| record.data.is_held_by(&self.owner)) else {
                return Ok(None);
            };
            let mut after = before.clone();
            change(&mut after);
            let written = after.data.clone();
            let mut transaction = self.begin();
            if written.state == JobState::Failed {
                send(&mut transaction, &after, Some(written.due_at));
            }
            transaction.update(&before, after)?;
            match self.invocation.commit(transaction).await {
                Ok(()) => return Ok(Some(written)),
                Err(Failure::Stale) if tries < STALE_TRIES => tries += 1,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Writes how the run ended; another attempt is arranged in the same transaction. False if another run has
    /// taken over: then nothing is written.
    pub(crate) async fn finish(
        &self,
        policy: &JobPolicy,
        ended: Result<Value, JobFault>,
    ) -> Result<bool, Failure> {
        let (state, result, error) = outcome(ended);
        let Some(state) = state else { return Ok(false) };
        let ambient = &self.invocation.runtime.ambient;
        let written = self
            .write(|record| {
                let data = &mut record.data;
                if state == JobState::Failed {
                    data.retry(error.clone().unwrap_or_default(), policy, ambient);
                } else {
                    data.end(state, ambient.now());
                    data.error.clone_from(&error);
                    data.result.clone_from(&result);
                }
                if data.state == JobState::Succeeded {
                    data.progress = 100;
                }
                if data.state.is_final() {
                    self.keep_for_a_while(record);
                }
            })
            .await?;
        let Some(written) = written else { return Ok(false) };
        self.tell(&written);
        Ok(true)
    }

    fn keep_for_a_while(&self, record: &mut Record<JobRecord>) {
        record.expires_at = Some(self.invocation.runtime.ambient.after(RETENTION_SECONDS));
    }

    /// Tells of a run that has ended, and of the end of its job.
    fn tell(&self, written: &JobRecord) {
        let state = written.state;
        if state == JobState::Dead {
            tracing::error!(job = written.job, job.id = self.id, error = written.error, "a job was given up");
        }
        if !self.counted {
            return;
        }
        let outcome = match state {
            JobState::Succeeded => JobOutcome::Succeeded,
            JobState::Dead => JobOutcome::Dead,
            JobState::Cancelled => JobOutcome::Cancelled,
            _ => JobOutcome::Failed,
        };
        let runtime = &self.invocation.runtime;
        runtime.metrics.job(runtime.group, self.invocation.name, outcome);
    }
}

/// State, result and error of a run that ended; no state for one that has nothing to say any more.
fn outcome(ended: Result<Value, JobFault>) -> (Option<JobState>, Option<Value>, Option<String>) {
    match ended {
        Ok(result) if result.to_string().len() > RESULT_BYTES => {
            let error = format!("the job was done, but its result is larger than {RESULT_BYTES} bytes");
            (Some(JobState::Dead), None, Some(error))
        }
        Ok(result) => (Some(JobState::Succeeded), Some(result), None),
        Err(JobFault::Retry(failure)) => (Some(JobState::Failed), None, Some(reason(&failure))),
        Err(JobFault::Fail(reason)) => (Some(JobState::Dead), None, Some(redact(&reason).into_owned())),
        Err(JobFault::Cancelled) => (Some(JobState::Cancelled), None, None),
        Err(JobFault::LeaseLost) => (None, None, None),
    }
}
