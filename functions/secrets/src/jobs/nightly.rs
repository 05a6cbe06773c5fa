//! Every night: what was deleted long enough ago, versions beyond what is kept, grants that have ended.

use coder_core::Result;
use coder_database::{Filter, Partition, Record};
use coder_handler::Invocation;
use serde_json::json;

use super::{due, unless_stale};
use crate::access::Trail;
use crate::model::{CONTAINER, Secret, SecretState};
use crate::service::Secrets;

/// Destroys for good what nobody restored, prunes versions, and drops ended grants.
pub async fn purge(secrets: Secrets, run: Invocation) -> Result<()> {
    let now = json!(secrets.now());
    let deleted = Filter::Eq("state".to_owned(), json!(SecretState::Deleted));
    let over = deleted.and(Filter::Le("purgeAt".to_owned(), now.clone()));
    for (partition, secret) in due(&secrets.secrets, &run.job, over).await? {
        unless_stale(purge_secret(&secrets, &run, partition, &secret).await)?;
    }
    for (partition, secret) in due(&secrets.secrets, &run.job, Filter::eq("overfull", true)).await? {
        let mut unit = run.begin(CONTAINER, partition);
        secrets.prune(&mut unit, &secret).await?;
        unless_stale(run.commit(unit).await)?;
    }
    let ended = Filter::Le("expiresAt".to_owned(), now);
    for (partition, grant) in due(&secrets.grants, &run.job, ended).await? {
        let mut unit = run.begin(CONTAINER, partition);
        Secrets::delete_grant(&mut unit, &grant)?;
        unless_stale(run.commit(unit).await)?;
    }
    Ok(())
}

/// Destroys one secret for good: first its versions and grants, then itself.
async fn purge_secret(
    secrets: &Secrets,
    run: &Invocation,
    partition: Partition,
    secret: &Record<Secret>,
) -> Result<()> {
    loop {
        let mut step = run.begin(CONTAINER, partition.clone()).without_audit();
        if !secrets.purge_step(&mut step, &secret.meta.id).await? {
            break;
        }
        run.commit(step).await?;
    }
    let mut unit = run.begin(CONTAINER, partition);
    Secrets::purge(&mut unit, &Trail::of_job(run), secret)?;
    run.commit(unit).await
}
