//! Every night: data keys that are too old or too much used, and those that an older key of the vault wraps.

use coder_core::Result;
use coder_database::Filter;
use coder_handler::Invocation;
use serde_json::json;

use super::{due, unless_stale};
use crate::model::{CONTAINER, DataKeyState};
use crate::service::Secrets;

/// Replaces data keys that are due, and wraps again what the vault has a newer key for.
pub async fn maintain_keys(secrets: Secrets, run: Invocation) -> Result<()> {
    for (partition, ring) in due(&secrets.keys.rings, &run.job, None).await? {
        let mut unit = run.begin(CONTAINER, partition);
        if secrets.keys.rotate_if_due(&mut unit, &ring).await? {
            unless_stale(run.commit(unit).await)?;
        }
    }
    let newest = secrets.keys.vault.newest().await?;
    let alive = Filter::Ne("state".to_owned(), json!(DataKeyState::Destroyed));
    let older = alive.and(Filter::Ne("keyEncryptionKeyId".to_owned(), json!(newest)));
    for (partition, key) in due(&secrets.keys.records, &run.job, older).await? {
        let mut unit = run.begin(CONTAINER, partition);
        if secrets.keys.rewrap(&mut unit, &key).await? {
            unless_stale(run.commit(unit).await)?;
        }
    }
    Ok(())
}
