//! Encrypting every value of an organization with its active data key. It goes on where it was stopped, since what is
//! done no longer passes its filter; a version that changes meanwhile is looked at again.

use std::collections::BTreeMap;

use coder_core::{Failure, OrganizationId, Result};
use coder_database::{Filter, Operation, Partition, Patch, Query, Record};
use coder_handler::events::JobRun;
use coder_jobs::JobFault;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::keys::ActiveKey;
use crate::model::{CONTAINER, SecretId, Version, VersionState};
use crate::service::Secrets;
use crate::service::limits::bound_to;
use crate::value::Kind;

/// The job's name.
pub const REENCRYPT: &str = "reencrypt";

/// Versions that are read at a time.
const PAGE: u32 = 100;

/// What the job works on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    organization_id: OrganizationId,
}

/// Encrypts again whatever another data key encrypts.
pub async fn reencrypt(secrets: Secrets, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let input = Input::deserialize(input).map_err(|error| JobFault::Fail(format!("the input: {error}")))?;
    let partition = Partition::organization(input.organization_id);
    let Some(key) = secrets.keys.active(&partition).await? else { return Ok(json!({"versions": 0})) };
    let mut round =
        Round { secrets, run, organization_id: input.organization_id, key, kinds: BTreeMap::new() };
    let (mut done, mut unreadable) = (0_u32, 0_u32);
    let mut query = Query::new(by_another(&round.key)).limit(PAGE);
    loop {
        let (page, next) = round.secrets.versions.page(&partition, &query).await?;
        for version in &page {
            match round.renew(version).await {
                Ok(()) => done += 1,
                // Somebody changed or destroyed it: what still needs it is found by the next run.
                Err(Failure::Stale) => {}
                Err(Failure::Internal(cause)) => {
                    tracing::error!(id = version.meta.id, cause = %cause, "a stored value does not open");
                    unreadable += 1;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        round.run.progress(50, &format!("{done} versions")).await?;
        match next {
            Some(next) => query.continuation = Some(next),
            None => break,
        }
    }
    Ok(json!({"dataKeyId": round.key.id, "versions": done, "unreadable": unreadable}))
}

/// Values that another key encrypts.
fn by_another(key: &ActiveKey) -> Filter {
    let other = Filter::Ne("dataKeyId".to_owned(), json!(key.id));
    other.and(Filter::Ne("state".to_owned(), json!(VersionState::Destroyed)))
}

struct Round {
    secrets: Secrets,
    run: JobRun,
    organization_id: OrganizationId,
    key: ActiveKey,
    kinds: BTreeMap<SecretId, Kind>,
}

impl Round {
    async fn renew(&mut self, before: &Record<Version>) -> Result<()> {
        let (secret_id, number) = (before.data.secret_id, before.data.version);
        // A row that was copied over another would be bound to its new place with the new key.
        if before.meta.id != Version::document_id(&secret_id.to_string(), number) {
            return Err(Failure::internal("a version does not stand where it belongs"));
        }
        let kind = self.kind(secret_id).await?;
        let value = self.secrets.unseal(self.organization_id, (secret_id, number), before, kind).await?;
        let bound = bound_to(self.organization_id, secret_id, number, kind);
        let sealed = self.secrets.seal(&self.key, &value, &bound);
        let partition = Partition::organization(self.organization_id);
        let mut unit = self.run.invocation.begin(CONTAINER, partition).without_audit();
        unit.replace(before, before.data.resealed(sealed, self.key.id.clone()))?;
        let patches = vec![Patch::Increment { field: "encryptions".to_owned(), by: 1 }];
        unit.push(Operation::Patch { id: self.key.id.clone(), patches, if_match: None });
        self.run.invocation.commit(unit).await
    }

    async fn kind(&mut self, id: SecretId) -> Result<Kind> {
        if let Some(kind) = self.kinds.get(&id) {
            return Ok(*kind);
        }
        let partition = Partition::organization(self.organization_id);
        let secret = self.secrets.secrets.find(&partition, &id.to_string()).await?.ok_or(Failure::Stale)?;
        self.kinds.insert(id, secret.data.kind);
        Ok(secret.data.kind)
    }
}
