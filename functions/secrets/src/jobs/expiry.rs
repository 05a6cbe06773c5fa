//! Every hour: secrets whose time is over, and warnings before it is.

use coder_core::{Result, Timestamp};
use coder_database::{Filter, Partition, Record};
use coder_handler::Invocation;
use jiff::SignedDuration;
use serde_json::json;

use super::{due, unless_stale};
use crate::model::{CONTAINER, Secret, SecretState};
use crate::service::Secrets;
use crate::service::write::{event, owner_id};

/// Days before the end at which a warning is sent, nearest last.
const WARNINGS: [i64; 4] = [30, 14, 7, 1];

/// Marks what has expired, and warns once at each step before.
pub async fn expire(secrets: Secrets, run: Invocation) -> Result<()> {
    let now = secrets.now();
    let soon = now.saturating_add(SignedDuration::from_hours(24 * WARNINGS[0])).unwrap_or(Timestamp::MAX);
    let active = Filter::Eq("state".to_owned(), json!(SecretState::Active));
    let ends = active.and(Filter::Le("expiresAt".to_owned(), json!(soon)));
    for (partition, secret) in due(&secrets.secrets, &run.job, ends).await? {
        let Some(end) = secret.data.expires_at else { continue };
        let outcome = if end <= now {
            mark(&run, partition, &secret).await
        } else {
            warn(&run, partition, &secret, days_until(end, now)).await
        };
        unless_stale(outcome)?;
    }
    Ok(())
}

async fn mark(run: &Invocation, partition: Partition, before: &Record<Secret>) -> Result<()> {
    let mut unit = run.begin(CONTAINER, partition);
    let after = Secret { state: SecretState::Expired, ..before.data.clone() };
    let (record, changes) = unit.replace(before, after)?;
    unit.emit_changes("secret.updated", &record.meta.id, event(&record), &changes);
    run.commit(unit).await
}

async fn warn(run: &Invocation, partition: Partition, before: &Record<Secret>, days: i64) -> Result<()> {
    let Some(step) = step(days).filter(|step| before.data.warned_days.is_none_or(|last| *step < last)) else {
        return Ok(());
    };
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    unit.replace(before, Secret { warned_days: Some(step), ..before.data.clone() })?;
    let id = &before.meta.id;
    unit.emit("expiry.warned", id, json!({"secretId": id, "daysLeft": days, "ownerId": owner_id(before)}));
    run.commit(unit).await
}

/// Days until the end, begun ones counted.
fn days_until(end: Timestamp, now: Timestamp) -> i64 {
    let seconds = end.duration_since(now).as_secs();
    (seconds + 24 * 3600 - 1) / (24 * 3600)
}

/// The nearest step that has been reached.
fn step(days: i64) -> Option<i64> {
    WARNINGS.into_iter().rev().find(|step| days <= *step)
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn the_nearest_step_counts() {
        let steps: Vec<_> = [31, 30, 15, 14, 8, 7, 2, 1].into_iter().map(step).collect();
        assert_eq!(steps, [None, Some(30), Some(30), Some(14), Some(14), Some(7), Some(7), Some(1)]);
    }
}
