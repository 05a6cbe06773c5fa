//! Opening a version for somebody who may see its value.

use coder_core::{Code, Failure, Problem, Result};
use coder_database::Record;
use coder_middleware::NoContent;
use serde_json::json;

use super::Secrets;
use crate::access::{Action, Asker, Note, Trail};
use crate::model::{Outcome, Secret, SecretState, VersionState};
use crate::value::SecretValue;

/// Which value is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The version; the current one if there is none.
    pub version: Option<u32>,
    /// The field; the whole value if there is none.
    pub field: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A value that may leave once its use is recorded.
#[derive(Debug)]
pub struct Opened {
    /// The version.
    pub version: u32,
    /// The value, or the field of it.
    pub value: SecretValue,
}

impl Secrets {
    /// Opens a version. One that cannot be decrypted is recorded as failed, told to everybody, and an internal
    /// failure.
    pub(crate) async fn open(
        &self,
        asker: &Asker,
        secret: &Record<Secret>,
        action: Action,
        wanted: &Wanted,
    ) -> Result<Opened> {
        self.check_usable(secret)?;
        if secret.data.require_reason
            && wanted.reason.as_deref().is_none_or(|reason| reason.trim().is_empty())
        {
            let problem = Problem::fault("/reason", "required", "This secret asks for a reason.");
            return Err(Problem { code: Code::ReasonRequired, ..problem }.into());
        }
        let number = wanted.version.unwrap_or(secret.data.current_version);
        let version = self.version(&asker.partition(), secret, number).await?;
        match version.data.state {
            VersionState::Destroyed => {
                let detail = format!("The value of version {number} was destroyed.");
                return Err(Failure::problem(Code::VersionDestroyed, detail));
            }
            VersionState::Disabled => {
                return Err(Failure::problem(Code::SecretDisabled, format!("Version {number} is disabled.")));
            }
            VersionState::Enabled => {}
        }
        if version.data.grace_until.is_some_and(|end| end <= self.now()) {
            let detail = format!("Version {number} was replaced by rotation, and its grace is over.");
            return Err(Failure::problem(Code::SecretExpired, detail));
        }
        let value = match self
            .unseal(asker.organization_id, (secret.id()?, number), &version, secret.data.kind)
            .await
        {
            Ok(value) => value,
            Err(failure @ Failure::Internal(_)) => {
                self.note_failed(asker, secret, action, number).await?;
                return Err(failure);
            }
            Err(other) => return Err(other),
        };
        let value = match &wanted.field {
            None => value,
            Some(field) => value
                .field(secret.data.kind, field)
                .ok_or_else(|| Problem::fault("/field", "not_found", "The value has no such field."))?,
        };
        Ok(Opened { version: number, value })
    }

    fn check_usable(&self, secret: &Record<Secret>) -> Result<()> {
        let (code, detail) = match secret.data.state_at(self.now()) {
            SecretState::Active => return Ok(()),
            SecretState::Disabled => (Code::SecretDisabled, "The secret is disabled."),
            SecretState::Expired => (Code::SecretExpired, "The secret has expired; set a new value."),
            SecretState::Deleted => (Code::InvalidState, "The secret is deleted; restore it first."),
        };
        Err(Failure::problem(code, detail))
    }

    async fn note_failed(
        &self,
        asker: &Asker,
        secret: &Record<Secret>,
        action: Action,
        version: u32,
    ) -> Result<()> {
        tracing::error!(id = secret.meta.id, version, "a stored value does not open");
        let mut unit = asker.aside().without_audit();
        let note = Note::of(action).version(version).outcome(Outcome::Failed);
        Trail::of(asker).note(&mut unit, secret, note)?;
        let id = &secret.meta.id;
        unit.emit("access.failed", id, json!({"secretId": id, "version": version, "action": action}));
        unit.commit(NoContent).await.map(|_| ())
    }

    /// Records that a value leaves, and tells everybody.
    pub(crate) fn note_revealed(
        unit: &mut coder_database::Transaction,
        trail: &Trail,
        secret: &Record<Secret>,
        action: Action,
        version: u32,
        reason: Option<String>,
    ) -> Result<()> {
        trail.note(unit, secret, Note::of(action).version(version).reason(reason))?;
        let id = &secret.meta.id;
        let data = json!({"secretId": id, "version": version, "consumer": trail.consumer()});
        unit.emit("secret.revealed", id, data);
        Ok(())
    }
}
