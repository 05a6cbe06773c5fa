//! The record of a one-time job: what is asked, how far it is, what came of it. It is the truth; the message that
//! starts a run only says where it is.

use coder_core::{Ambient, Failure, Timestamp};
use coder_database::{Entity, Record, Transaction};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lease::Lease;
use crate::policy::JobPolicy;

/// How long a record stays after the job's end, in seconds.
pub const RETENTION_SECONDS: i64 = 30 * 24 * 3600;

/// Largest result that is kept, in bytes of JSON.
pub const RESULT_BYTES: usize = 256 * 1024;

/// What is said of a run that was cut off.
const CUT_OFF: &str = "the run was cut off: its process ended or hung";

/// How much too early a message may come: clocks differ.
const EARLY: SignedDuration = SignedDuration::from_secs(2);

/// How long after its time a job is taken for forgotten: its message must have been lost.
pub const OVERDUE: SignedDuration = SignedDuration::from_mins(10);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Queued,
    /// A host works on it.
    Running,
    /// Done.
    Succeeded,
    /// The last run failed or was cut off; another follows.
    Failed,
    /// Given up.
    Dead,
    /// Stopped on request.
    Cancelled,
}

impl JobState {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Failed, Self::Succeeded, Self::Dead, Self::Cancelled];

    /// The name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to the job.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled)
    }
}

/// A one-time job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The group that declares the job.
    pub group: String,
    /// The job's name.
    pub job: String,
    /// What it works on.
    pub input: Value,
    /// Where it stands.
    pub state: JobState,
    /// Runs that have begun.
    pub attempts: u32,
    /// Those of them that were cut off: that ended, with their process or by hanging, before they could say how.
    #[serde(default)]
    pub cut_offs: u32,
    /// Not before this time.
    pub due_at: Timestamp,
    /// When the last run began.
    pub started_at: Option<Timestamp>,
    /// When the last run ended.
    pub finished_at: Option<Timestamp>,
    /// How far it is, in percent.
    pub progress: u8,
    /// What it is doing, for people.
    pub note: Option<String>,
    /// What came of it.
    pub result: Option<Value>,
    /// Why the last run failed.
    pub error: Option<String>,
    /// Somebody asked that it stops.
    pub cancel_requested: bool,
    /// The run that works on it.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// When its message was last sent again, because it seemed lost.
    #[serde(default)]
    pub resent_at: Option<Timestamp>,
}

impl Entity for JobRecord {
    const TYPE: &'static str = "job";
    /// What a job is about is for those who may see the job, not for the audit.
    const SECRET: &'static [&'static str] = &["input", "result", "error", "note"];
}

/// What a host that was told of a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Runs it: the lease is in the record, to be written.
    Run,
    /// Nothing: the job has ended, or another message comes at its time.
    Nothing,
    /// Only writes the record: the job ends without a further run.
    End,
    /// Writes the record and comes back at its time: the run before was cut off, and another is to wait.
    Later,
    /// Comes back after this time: another run has the lease until then.
    Held(Timestamp),
}

impl JobRecord {
    /// A job that waits for its time.
    pub fn queued(group: &str, job: &str, input: Value, due_at: Timestamp) -> Self {
        Self {
            group: group.to_owned(),
            job: job.to_owned(),
            input,
            state: JobState::Queued,
            attempts: 0,
            cut_offs: 0,
            due_at,
            started_at: None,
            finished_at: None,
            progress: 0,
            note: None,
            result: None,
            error: None,
            cancel_requested: false,
            lease: None,
            resent_at: None,
        }
    }

    /// Takes the job for a run, if it is to run now.
    pub fn claim(&mut self, policy: &JobPolicy, owner: &str, ambient: &Ambient) -> Claim {
        let now = ambient.now();
        if self.state.is_final() {
            return Claim::Nothing;
        }
        let was_cut_off = match &self.lease {
            _ if self.state != JobState::Running => false,
            Some(lease) if lease.is_live(now) => return Claim::Held(lease.expires_at),
            _ => true,
        };
        if was_cut_off {
            self.cut_offs += 1;
            self.fail(CUT_OFF.to_owned(), policy.after_cut_off(self.cut_offs, ambient), now);
        }
        if self.cancel_requested {
            self.end(JobState::Cancelled, now);
            return Claim::End;
        }
        if let Some(bound) = self.bound_reached(policy) {
            self.give_up(&bound, now);
            return Claim::End;
        }
        if self.due_at.duration_since(now) > EARLY {
            return if was_cut_off { Claim::Later } else { Claim::Nothing };
        }
        self.state = JobState::Running;
        self.attempts += 1;
        self.started_at = Some(now);
        self.finished_at = None;
        self.lease = Some(Lease::from(owner, now));
        Claim::Run
    }

    /// Whether the lease is this run's still.
    pub fn is_held_by(&self, owner: &str) -> bool {
        self.state == JobState::Running && self.lease.as_ref().is_some_and(|lease| lease.owner == owner)
    }

    /// Makes the lease of the run under way last from now on.
    pub fn renew(&mut self, now: Timestamp) {
        if let Some(lease) = &mut self.lease {
            lease.renew(now);
        }
    }

    /// Whether the job ought to run and nobody works on it: its message must have been lost.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        let since = match self.state {
            JobState::Queued | JobState::Failed => self.due_at,
            JobState::Running => match &self.lease {
                Some(lease) if lease.is_live(now) => return false,
                // One that ends in the future and does not hold was taken by a wrong clock.
                Some(lease) if lease.expires_at > now => Timestamp::MIN,
                Some(lease) => lease.expires_at,
                None => self.started_at.unwrap_or(self.due_at),
            },
            _ => return false,
        };
        // Nothing was sent in the future, either.
        let sent = self.resent_at.filter(|sent| *sent <= now);
        now.duration_since(sent.map_or(since, |sent| sent.max(since))) > OVERDUE
    }

    /// Asks that the job stops; one that does not run has stopped with that. False if it has ended already.
    pub fn cancel(&mut self, now: Timestamp) -> bool {
        if self.state.is_final() {
            return false;
        }
        self.cancel_requested = true;
        if self.state != JobState::Running {
            self.end(JobState::Cancelled, now);
        }
        true
    }

    /// Runs that have failed; the one under way counts as if it had.
    fn failures(&self) -> u32 {
        self.attempts.saturating_sub(self.cut_offs)
    }

    /// Whether the job is given up if the run under way fails.
    pub fn is_last_try(&self, policy: &JobPolicy) -> bool {
        self.failures() >= policy.attempts.max(1)
    }

    /// Which bound of the policy the runs have reached that have ended, in words.
    fn bound_reached(&self, policy: &JobPolicy) -> Option<String> {
        if self.cut_offs >= policy.cut_offs.max(1) {
            Some(format!("{} runs that were cut off", self.cut_offs))
        } else if self.failures() >= policy.attempts.max(1) {
            Some(format!("{} runs that failed", self.failures()))
        } else {
            None
        }
    }

    fn give_up(&mut self, bound: &str, now: Timestamp) {
        let last = self.error.take().unwrap_or_default();
        self.error = Some(format!("{last} (given up after {bound})"));
        self.end(JobState::Dead, now);
    }

    /// Ends a run that failed: another attempt follows after a while, or the job is dead if this was the last.
    pub fn retry(&mut self, error: String, policy: &JobPolicy, ambient: &Ambient) {
        self.fail(error, policy.again_at(self.failures(), ambient), ambient.now());
        if let Some(bound) = self.bound_reached(policy) {
            self.give_up(&bound, ambient.now());
        }
    }

    fn fail(&mut self, error: String, due_at: Timestamp, now: Timestamp) {
        self.end(JobState::Failed, now);
        self.error = Some(error);
        self.due_at = due_at;
    }

    /// Ends the run.
    pub fn end(&mut self, state: JobState, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
        self.lease = None;
    }
}

/// Queues a job of the transaction's group in the transaction: it runs once the transaction is committed, and
/// not before `due`. The record lives in the transaction's partition.
pub fn enqueue(
    transaction: &mut Transaction,
    job: &str,
    input: Value,
    due: Option<Timestamp>,
) -> Result<Record<JobRecord>, Failure> {
    let record = JobRecord::queued(transaction.group(), job, input, due.unwrap_or(transaction.now()));
    let id = transaction.new_id();
    let record = transaction.create(&id, record)?;
    send(transaction, &record, due);
    Ok(record)
}

/// Records the message that starts the job of a record in the transaction's partition, at once or at `due`.
pub fn send(transaction: &mut Transaction, record: &Record<JobRecord>, due: Option<Timestamp>) {
    let data = json!({
        "job": record.data.job,
        "group": record.data.group,
        "container": transaction.container(),
        "partition": transaction.partition().key().0,
    });
    transaction.start_job(&record.data.job, &record.meta.id, data, due);
}

#[cfg(test)]
mod tests;
