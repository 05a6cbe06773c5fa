//! Deleting, restoring, and destroying for good.

use coder_core::{Code, Failure, Result};
use coder_database::{Filter, Query, Record, Transaction};
use jiff::SignedDuration;

use super::Secrets;
use super::write::event;
use crate::access::{Action, Note, Trail};
use crate::model::{Secret, SecretState, claims};

/// Days for which a deleted secret can be restored.
pub const RECOVERY_DAYS: i64 = 30;

/// Documents that one batch takes away.
const BATCH: u32 = 40;

impl Secrets {
    /// Deletes a secret so that it can be restored; its name is free at once.
    pub(crate) fn delete(unit: &mut Transaction, trail: &Trail, before: &Record<Secret>) -> Result<()> {
        if before.data.state == SecretState::Deleted {
            return Err(Failure::problem(Code::InvalidState, "The secret is deleted already."));
        }
        let now = unit.now();
        let after = Secret {
            state: SecretState::Deleted,
            state_before_deletion: Some(before.data.state),
            deleted_at: Some(now),
            purge_at: now.saturating_add(SignedDuration::from_hours(24 * RECOVERY_DAYS)).ok(),
            ..before.data.clone()
        };
        Self::release_place(unit, &before.data.place());
        let (record, _) = unit.replace(before, after)?;
        trail.note(unit, &record, Note::of(Action::Delete))?;
        unit.emit("secret.deleted", &record.meta.id, event(&record));
        Ok(())
    }

    /// Takes a deletion back, unless the name was taken meanwhile.
    pub(crate) fn restore(
        unit: &mut Transaction,
        trail: &Trail,
        before: &Record<Secret>,
    ) -> Result<Record<Secret>> {
        if before.data.state != SecretState::Deleted {
            return Err(Failure::problem(Code::InvalidState, "The secret is not deleted."));
        }
        Self::claim_place(unit, &before.data.place(), &before.meta.id)?;
        let after = Secret {
            state: before.data.state_before_deletion.unwrap_or(SecretState::Active),
            state_before_deletion: None,
            deleted_at: None,
            purge_at: None,
            ..before.data.clone()
        };
        let (record, _) = unit.replace(before, after)?;
        trail.note(unit, &record, Note::of(Action::Restore))?;
        unit.emit("secret.restored", &record.meta.id, event(&record));
        Ok(record)
    }

    /// Destroys versions and grants, batch by batch: what comes before [`Secrets::purge`]. Answers whether
    /// there is something to commit.
    pub(crate) async fn purge_step(&self, unit: &mut Transaction, secret_id: &str) -> Result<bool> {
        let query = Query::new(Filter::eq("secretId", secret_id)).limit(BATCH);
        let partition = unit.partition().clone();
        let (versions, _) = self.versions.page(&partition, &query).await?;
        for version in &versions {
            unit.delete(version)?;
        }
        let (grants, _) = self.grants.page(&partition, &query.clone().limit(BATCH / 2)).await?;
        for grant in &grants {
            unit.delete(grant)?;
            unit.release(claims::GRANT, &grant.data.claim().each_ref().map(String::as_str));
        }
        Ok(!versions.is_empty() || !grants.is_empty())
    }

    /// Takes away the secret itself, once its versions are gone.
    pub(crate) fn purge(unit: &mut Transaction, trail: &Trail, before: &Record<Secret>) -> Result<()> {
        if before.data.state != SecretState::Deleted {
            Self::release_place(unit, &before.data.place());
        }
        Self::count_one_less(unit);
        trail.note(unit, before, Note::of(Action::Purge))?;
        unit.delete(before)?;
        unit.emit("secret.purged", &before.meta.id, event(before));
        Ok(())
    }
}
