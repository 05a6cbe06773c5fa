//! The record of a one-time job: what is asked, how far it is, what came of it. It is the truth; the message that
//! starts a run only says where it is.

use coder_core::{Failure, Timestamp};
use coder_database::{Entity, Record, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// The last attempt failed; another follows.
    Failed,
    /// Given up.
    Dead,
    /// Stopped on request.
    Cancelled,
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
}

impl Entity for JobRecord {
    const TYPE: &'static str = "job";
}

/// Queues a job of the transaction's group in the transaction: it runs once the transaction is committed, and
/// not before `due`. The record lives in the transaction's partition.
pub fn enqueue(
    transaction: &mut Transaction,
    job: &'static str,
    input: Value,
    due: Option<Timestamp>,
) -> Result<Record<JobRecord>, Failure> {
    let now = transaction.now();
    let record = JobRecord {
        group: transaction.group().to_owned(),
        job: job.to_owned(),
        input,
        state: JobState::Queued,
        attempts: 0,
        due_at: due.unwrap_or(now),
        started_at: None,
        finished_at: None,
        progress: 0,
        note: None,
        result: None,
        error: None,
        cancel_requested: false,
    };
    let id = transaction.new_id();
    let record = transaction.create(&id, record)?;
    let key = transaction.partition().key().0;
    let data = json!({
        "job": job,
        "group": transaction.group(),
        "container": transaction.container(),
        "partition": key,
    });
    transaction.start_job(job, &id, data, due);
    Ok(record)
}
