//! One-time jobs. A run may be killed anywhere and run again.

use coder_core::{Failure, OrganizationId, UserId};
use coder_handler::events::JobRun;
use coder_handler::{Event, retry_stale};
use coder_jobs::JobFault;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::{CONTAINER, Erased, Erasure, Trail, WorkStatus};
use crate::service::Logging;
use crate::service::evidence::verified;

/// What every job of one chain is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// The organization's id, or `platform`.
    trail: String,
    /// The export, verification or erasure, where there is a record of one.
    id: Option<String>,
    user_id: Option<UserId>,
    reason: Option<String>,
}

impl Input {
    fn of(value: Value) -> Result<(Trail, Self), JobFault> {
        let input = Self::deserialize(value).map_err(|error| JobFault::Fail(error.to_string()))?;
        let organization = input.trail.parse::<OrganizationId>();
        let trail = match (input.trail.as_str(), organization) {
            ("platform", _) => Trail::Platform,
            (_, Ok(id)) => Trail::Organization(id),
            (_, Err(_)) => return Err(JobFault::Fail("the input names no chain".to_owned())),
        };
        Ok((trail, input))
    }

    fn id(&self) -> Result<&str, JobFault> {
        self.id.as_deref().ok_or_else(|| JobFault::Fail("the input names no record".to_owned()))
    }
}

/// Writes the file of an export.
pub(crate) async fn export(logging: Logging, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let (trail, input) = Input::of(input)?;
    let id = input.id()?;
    match logging.run_export(&run, trail, id).await {
        Err(JobFault::Retry(failure)) if run.last_try => {
            logging.fail_export(&run, trail, id).await?;
            Err(JobFault::Fail(failure.to_string()))
        }
        Err(JobFault::Fail(reason)) => {
            logging.fail_export(&run, trail, id).await?;
            Err(JobFault::Fail(reason))
        }
        outcome => outcome,
    }
}

/// Verifies a long range.
pub(crate) async fn verify(logging: Logging, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let (trail, input) = Input::of(input)?;
    let (partition, id) = (trail.config(), input.id()?);
    let Some(asked) = logging.verifications.find(&partition, id).await? else {
        return Err(JobFault::Cancelled);
    };
    if asked.data.status == WorkStatus::Succeeded {
        return Ok(json!({"verificationId": id}));
    }
    let (from, to) = (asked.data.from_seq, asked.data.to_seq);
    let verdict = logging.verify(trail, from, to).await?;
    let (verification, name, data) = verified(from, to, verdict);
    let mut transaction = run.invocation.begin(CONTAINER, partition).without_audit();
    transaction.replace(&asked, verification)?;
    transaction.emit(name, &trail.name(), data);
    run.invocation.commit(transaction).await?;
    Ok(json!({"verificationId": id}))
}

/// Erases what the entries of a chain say of a person.
pub(crate) async fn erase(logging: Logging, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let (trail, input) = Input::of(input)?;
    let Some(user_id) = input.user_id else {
        return Err(JobFault::Fail("the input names nobody".to_owned()));
    };
    let asked = match &input.id {
        Some(id) => logging.erasures.find(&trail.config(), id).await?,
        None => None,
    };
    let by = asked.as_ref().map_or_else(|| "logging.erase".to_owned(), |asked| asked.meta.created_by.clone());
    let reason = asked.as_ref().map(|asked| asked.data.reason.clone()).or(input.reason).unwrap_or_default();
    let erased = Erased { at: logging.now(), by, reason };
    let entries = match logging.erase_person(&run.invocation, trail, user_id, &erased).await {
        Ok(entries) => entries,
        // A legal hold: whoever lifts it starts the erasure again.
        Err(Failure::Problem(problem)) if problem.code == coder_core::Code::InvalidState => {
            return Err(JobFault::Fail(problem.detail));
        }
        Err(failure) => return Err(failure.into()),
    };
    retry_stale(|| async {
        let mut transaction = run.invocation.begin(CONTAINER, trail.config()).without_audit();
        let mut total = entries;
        if let Some(asked) = &input.id
            && let Some(before) = logging.erasures.find(&trail.config(), asked).await?
        {
            // Of an earlier run that was cut short the count is lost; that it was carried out is not.
            total += before.data.entries;
            let status = WorkStatus::Succeeded;
            transaction.replace(&before, Erasure { status, entries: total, ..before.data.clone() })?;
        }
        let data = json!({"userId": user_id, "entries": total});
        transaction.emit("erasure.completed", &user_id.to_string(), data);
        run.invocation.commit(transaction).await
    })
    .await?;
    Ok(json!({"entries": entries}))
}

/// Removes what a purged organization had.
pub(crate) async fn purge(logging: Logging, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let (trail, _) = Input::of(input)?;
    logging.purge(&run.invocation, trail).await?;
    Ok(Value::Null)
}

/// Records events that were dead letters: `{"events": […]}` in their CloudEvents form. Those that were recorded
/// before are dropped.
pub(crate) async fn ingest_replay(logging: Logging, _: JobRun, input: Value) -> Result<Value, JobFault> {
    let (mut recorded, mut unreadable) = (0_u64, 0_u64);
    for event in input["events"].as_array().into_iter().flatten() {
        match Event::parse(event) {
            Ok(event) => {
                logging.ingest(&event).await?;
                recorded += 1;
            }
            Err(reason) => {
                tracing::warn!(reason, "a replayed event cannot be read");
                unreadable += 1;
            }
        }
    }
    Ok(json!({"recorded": recorded, "unreadable": unreadable}))
}
