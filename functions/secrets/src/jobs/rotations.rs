//! Every quarter of an hour: rotations that are due, and those that failed before.

use coder_core::{Failure, Result};
use coder_database::{Filter, Partition, Record};
use coder_handler::Invocation;
use jiff::SignedDuration;
use serde_json::json;

use super::{due, unless_stale};
use crate::access::Trail;
use crate::model::rotation::MOST_FAILURES;
use crate::model::{CONTAINER, RotationMode, RotationState, Secret, SecretState};
use crate::service::Secrets;
use crate::service::webhook::Call;
use crate::service::write::{NewVersion, owner_id, tenant};

/// Hours that a receiver has to set the new value; then it is told again.
const ANSWER_HOURS: i64 = 1;

/// Rotates what is due.
pub async fn rotate(secrets: Secrets, run: Invocation) -> Result<()> {
    let over = Filter::Le("rotationState.nextRotationAt".to_owned(), json!(secrets.now()));
    let active = Filter::Eq("state".to_owned(), json!(SecretState::Active));
    for (partition, secret) in due(&secrets.secrets, &run.job, over.and(active)).await? {
        let outcome = match secret.data.rotation.mode {
            RotationMode::None => Ok(()),
            RotationMode::Reminder => remind(&run, partition, &secret).await,
            RotationMode::Generate => generate(&secrets, &run, partition, &secret).await,
            RotationMode::Webhook => tell(&secrets, &run, partition, &secret).await,
        };
        unless_stale(outcome)?;
    }
    Ok(())
}

/// Warns, and leaves the value to people.
async fn remind(run: &Invocation, partition: Partition, before: &Record<Secret>) -> Result<()> {
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    let state = RotationState {
        next_rotation_at: before.data.rotation.next_after(unit.now()),
        ..before.data.rotation_state.clone()
    };
    unit.replace(before, Secret { rotation_state: state, ..before.data.clone() })?;
    let id = &before.meta.id;
    let data = json!({"secretId": id, "daysLeft": 0, "cause": "rotation", "ownerId": owner_id(before)});
    unit.emit("expiry.warned", id, data);
    run.commit(unit).await
}

async fn generate(
    secrets: &Secrets,
    run: &Invocation,
    partition: Partition,
    before: &Record<Secret>,
) -> Result<()> {
    let mut unit = run.begin(CONTAINER, partition.clone());
    let made = match secrets.generated(tenant(&unit)?, before).await {
        Ok(value) => {
            let new = NewVersion::rotated(value, None, before.data.rotation.grace_seconds);
            secrets.add_version(&mut unit, &Trail::of_job(run), before, new).await.map(|_| ())
        }
        Err(failure) => Err(failure),
    };
    match made {
        Ok(()) => run.commit(unit).await,
        Err(Failure::Stale) => Err(Failure::Stale),
        Err(failure) => {
            tracing::warn!(id = before.meta.id, cause = %failure, "a rotation failed");
            let code = failure.code().map_or("internal", coder_core::Code::as_str);
            fail(run, partition, before, code).await
        }
    }
}

/// Tells the receiver, who sets the new value. The value before stays current until then.
async fn tell(
    secrets: &Secrets,
    run: &Invocation,
    partition: Partition,
    before: &Record<Secret>,
) -> Result<()> {
    if before.data.rotation_state.pending.is_some() {
        return fail(run, partition, before, "no_new_version").await;
    }
    let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
    let organization_id = tenant(&unit)?;
    // The call cannot be taken back: what it is about is settled first, so that two runs do not both call.
    let rotation_id = unit.new_id();
    let state = RotationState {
        pending: Some(rotation_id.clone()),
        next_rotation_at: unit.now().saturating_add(SignedDuration::from_hours(ANSWER_HOURS)).ok(),
        ..before.data.rotation_state.clone()
    };
    unit.replace(before, Secret { rotation_state: state, ..before.data.clone() })?;
    run.commit(unit).await?;
    let call = Call {
        organization_id,
        secret_id: &before.meta.id,
        rotation_id: &rotation_id,
        version: before.data.current_version,
    };
    let url = before.data.rotation.webhook_url.as_deref().unwrap_or_default();
    let Err(code) = secrets.webhooks.call(url, call).await else { return Ok(()) };
    let Some(now) = secrets.secrets.find(&partition, &before.meta.id).await? else { return Ok(()) };
    // The receiver may have set the value although its answer got lost.
    if now.data.rotation_state.pending.as_ref() != Some(&rotation_id) {
        return Ok(());
    }
    fail(run, partition, &now, code).await
}

async fn fail(run: &Invocation, partition: Partition, before: &Record<Secret>, code: &str) -> Result<()> {
    let mut unit = run.begin(CONTAINER, partition);
    let state = before.data.rotation_state.failed(code, unit.now());
    let (attempt, given_up) = (state.failures, state.failures >= MOST_FAILURES);
    unit.replace(before, Secret { rotation_state: state, ..before.data.clone() })?;
    let id = &before.meta.id;
    let owner_id = owner_id(before);
    let data = json!({
        "secretId": id, "attempt": attempt, "code": code, "givenUp": given_up, "ownerId": owner_id,
    });
    unit.emit("rotation.failed", id, data);
    run.commit(unit).await
}
