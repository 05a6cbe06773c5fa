//! New secrets and new versions.

use coder_core::{Code, Failure, OrganizationId, Problem, Result, Timestamp, UserId};
use coder_database::{Direction, Filter, Query, Record, Transaction};
use coder_vault::Ciphertext;
use jiff::SignedDuration;
use serde_json::json;

use super::Secrets;
use super::limits::bound_to;
use crate::access::{Action, Note, Trail};
use crate::keys::ActiveKey;
use crate::model::secret::Place;
use crate::model::version::Cause;
use crate::model::{RotationMode, Secret, SecretId, SecretState, Version, VersionState, claims};
use crate::value::{Kind, SecretValue};

/// Versions that one transaction destroys at most; the nightly job goes on.
const DESTROYED_AT_ONCE: usize = 20;

/// A new version, and why.
#[derive(Debug)]
pub struct NewVersion {
    /// The value.
    pub value: SecretValue,
    /// What brings it about.
    pub cause: Cause,
    /// The action that is recorded.
    pub action: Action,
    /// Why, as the caller said.
    pub reason: Option<String>,
    /// Seconds for which the version before stays readable; `None` leaves it as it is.
    pub grace_seconds: Option<i64>,
}

impl NewVersion {
    /// One that somebody sets.
    pub fn manual(value: SecretValue, reason: Option<String>) -> Self {
        Self { value, cause: Cause::Manual, action: Action::Update, reason, grace_seconds: None }
    }

    /// One that a rotation brings.
    pub fn rotated(value: SecretValue, reason: Option<String>, grace_seconds: i64) -> Self {
        let grace_seconds = Some(grace_seconds);
        Self { value, cause: Cause::Rotation, action: Action::Rotate, reason, grace_seconds }
    }
}

/// The name is taken by another secret in its place.
pub(crate) fn name_is_taken() -> Problem {
    Problem::new(Code::AlreadyExists, "There is a secret of this name in this place already.")
}

/// The payload of events about a secret.
pub(crate) fn event(secret: &Record<Secret>) -> serde_json::Value {
    let Secret { name, scope, scope_id, environment, .. } = &secret.data;
    json!({
        "secretId": secret.meta.id, "name": name, "scope": scope, "scopeId": scope_id, "environment": environment,
    })
}

/// Who hears of a secret's troubles: the person whose own it is, else whoever made it, unless that was an API key.
pub(crate) fn owner_id(secret: &Record<Secret>) -> Option<UserId> {
    secret.data.owner().or_else(|| secret.meta.created_by.parse().ok())
}

pub(crate) fn tenant(unit: &Transaction) -> Result<OrganizationId> {
    unit.partition().organization_id().ok_or_else(|| Failure::internal("secrets belong to organizations"))
}

impl Secrets {
    /// Claims the place of a secret.
    pub(crate) fn claim_place(unit: &mut Transaction, place: &Place, owner: &str) -> Result<()> {
        let tuple = place.claim();
        unit.claim(claims::NAME, &tuple.each_ref().map(String::as_str), owner, name_is_taken())
    }

    /// Gives the place of a secret back.
    pub(crate) fn release_place(unit: &mut Transaction, place: &Place) {
        unit.release(claims::NAME, &place.claim().each_ref().map(String::as_str));
    }

    /// Makes a secret with its first version.
    pub(crate) async fn create(
        &self,
        unit: &mut Transaction,
        trail: &Trail,
        mut secret: Secret,
        first: NewVersion,
    ) -> Result<Record<Secret>> {
        let id = SecretId::from(self.runtime.ambient.new_uuid());
        Self::claim_place(unit, &secret.place(), &id.to_string())?;
        self.count_one_more(unit).await?;
        let version = self.sealed(unit, id, &mut secret, 1, &first).await?;
        unit.create(Version::document_id(&id.to_string(), 1), version)?;
        let record = unit.create(id, secret)?;
        trail.note(unit, &record, Note::of(Action::Create).version(1).reason(first.reason))?;
        unit.emit("secret.created", &record.meta.id, event(&record));
        emit_version(unit, &record.meta.id, 1, first.cause);
        Ok(record)
    }

    /// Gives a secret a new current version.
    pub(crate) async fn add_version(
        &self,
        unit: &mut Transaction,
        trail: &Trail,
        before: &Record<Secret>,
        new: NewVersion,
    ) -> Result<(Record<Secret>, Record<Version>)> {
        if before.data.state == SecretState::Deleted {
            return Err(Failure::problem(Code::InvalidState, "The secret is deleted; restore it first."));
        }
        let (mut secret, now) = (before.data.clone(), unit.now());
        let version = secret.current_version + 1;
        let grace_until = new.grace_seconds.map(|seconds| later(now, seconds));
        self.make_room(unit, before, &mut secret, grace_until).await?;
        let sealed = self.sealed(unit, before.id()?, &mut secret, version, &new).await?;
        revive(&mut secret, now);
        let awaited =
            secret.rotation_state.pending.is_some() && secret.rotation.mode == RotationMode::Webhook;
        if new.cause == Cause::Rotation || awaited {
            secret.rotation_state = secret.rotation_state.succeeded(&secret.rotation, now);
        }
        // First: of two writers at once the second runs again here, before it meets the first's version.
        let (record, _) = unit.replace(before, secret)?;
        let document = unit.create(Version::document_id(&record.meta.id, version), sealed)?;
        trail.note(unit, &record, Note::of(new.action).version(version).reason(new.reason))?;
        emit_version(unit, &record.meta.id, version, new.cause);
        if new.cause == Cause::Rotation || awaited {
            let data = json!({"secretId": record.meta.id, "version": version, "graceUntil": grace_until});
            unit.emit("secret.rotated", &record.meta.id, data);
        }
        Ok((record, document))
    }

    /// The document of a version; notes in the secret what it says of its current one.
    async fn sealed(
        &self,
        unit: &mut Transaction,
        id: SecretId,
        secret: &mut Secret,
        version: u32,
        new: &NewVersion,
    ) -> Result<Version> {
        let organization_id = tenant(unit)?;
        let key = self.keys.for_writing(unit).await?;
        let bound = bound_to(organization_id, id, version, secret.kind);
        let Ciphertext { ciphertext, nonce, tag } = self.seal(&key, &new.value, &bound);
        secret.current_version = version;
        secret.fingerprint = self.fingerprint(organization_id, &new.value);
        if let Some(end) = new.value.expires_at(secret.kind) {
            secret.expires_at = Some(end);
            secret.warned_days = None;
        }
        Ok(Version {
            secret_id: id,
            version,
            ciphertext,
            nonce,
            tag,
            data_key_id: key.id,
            state: VersionState::Enabled,
            cause: new.cause,
            reason: new.reason.clone(),
            grace_until: None,
        })
    }

    pub(crate) fn seal(&self, key: &ActiveKey, value: &SecretValue, bound: &str) -> Ciphertext {
        key.key.sealer(self.runtime.ambient.clone()).seal_parts(&value.to_bytes(), bound)
    }

    /// What is the same for the same value in one organization.
    fn fingerprint(&self, organization_id: OrganizationId, value: &SecretValue) -> String {
        let organization = organization_id.to_string();
        let parts: [&[u8]; 2] = [organization.as_bytes(), &value.to_bytes()];
        let mut text = coder_core::text::hmac_sha256_hex(&self.fingerprint_key, &parts);
        text.truncate(16);
        text
    }

    /// Gives the current version its grace, and destroys the oldest ones beyond what is kept.
    async fn make_room(
        &self,
        unit: &mut Transaction,
        before: &Record<Secret>,
        secret: &mut Secret,
        grace_until: Option<Timestamp>,
    ) -> Result<()> {
        let kept = self.kept_versions(unit, &before.meta.id).await?;
        let too_many = (kept.len() + 1).saturating_sub(secret.max_versions as usize);
        for (index, version) in kept.iter().enumerate() {
            let current = version.data.version == before.data.current_version;
            if index < too_many.min(DESTROYED_AT_ONCE) {
                unit.replace(version, version.data.destroyed())?;
            } else if let (true, Some(grace_until)) = (current, grace_until) {
                let grace_until = Some(grace_until);
                unit.replace(version, Version { grace_until, ..version.data.clone() })?;
            }
        }
        secret.overfull = too_many > DESTROYED_AT_ONCE;
        Ok(())
    }

    /// The versions of a secret that still have a value, oldest first.
    pub(crate) async fn kept_versions(
        &self,
        unit: &Transaction,
        secret_id: &str,
    ) -> Result<Vec<Record<Version>>> {
        let with_value = Filter::Ne("state".to_owned(), json!(VersionState::Destroyed));
        let query = Query::new(Filter::eq("secretId", secret_id).and(with_value))
            .order_by("version", Direction::Ascending)
            .limit(1000);
        Ok(self.versions.page(unit.partition(), &query).await?.0)
    }

    /// Destroys values beyond what a secret keeps, a batch of them; the secret says whether more are left.
    pub(crate) async fn prune(&self, unit: &mut Transaction, before: &Record<Secret>) -> Result<()> {
        let kept = self.kept_versions(unit, &before.meta.id).await?;
        let too_many = kept.len().saturating_sub(before.data.max_versions as usize);
        for version in &kept[..too_many.min(DESTROYED_AT_ONCE)] {
            unit.replace(version, version.data.destroyed())?;
        }
        let overfull = too_many > DESTROYED_AT_ONCE;
        unit.replace(before, Secret { overfull, ..before.data.clone() }).map(|_| ())
    }

    /// A version of a secret by number.
    pub(crate) async fn version(
        &self,
        unit: &coder_database::Partition,
        secret: &Record<Secret>,
        number: u32,
    ) -> Result<Record<Version>> {
        self.versions.get(unit, &Version::document_id(&secret.meta.id, number)).await
    }

    /// The value of a version of a secret, in the clear; an internal failure if it was changed, moved, or its key is
    /// gone. What it is bound to is what was asked for, since a whole row that was copied over another names itself.
    pub(crate) async fn unseal(
        &self,
        organization_id: OrganizationId,
        (secret_id, number): (SecretId, u32),
        version: &Record<Version>,
        kind: Kind,
    ) -> Result<SecretValue> {
        if (version.data.secret_id, version.data.version) != (secret_id, number) {
            return Err(Failure::internal("a version does not stand where it belongs"));
        }
        let partition = coder_database::Partition::organization(organization_id);
        let key = self.keys.for_reading(&partition, &version.data.data_key_id).await?;
        let bound = bound_to(organization_id, secret_id, number, kind);
        let sealer = key.sealer(self.runtime.ambient.clone());
        let bytes = sealer.open_parts(&version.data.sealed(), &bound)?;
        SecretValue::from_bytes(&bytes).ok_or_else(|| Failure::internal("a decrypted value is no JSON"))
    }
}

/// A new value makes an expired secret active again; an end that is over does not hold for it.
fn revive(secret: &mut Secret, now: Timestamp) {
    if secret.expires_at.is_some_and(|end| end <= now) {
        secret.expires_at = None;
        secret.warned_days = None;
    }
    if secret.state == SecretState::Expired {
        secret.state = SecretState::Active;
    }
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn emit_version(unit: &mut Transaction, secret_id: &str, version: u32, cause: Cause) {
    let data = json!({"secretId": secret_id, "version": version, "cause": cause.as_str()});
    unit.emit("version.created", secret_id, data);
}
