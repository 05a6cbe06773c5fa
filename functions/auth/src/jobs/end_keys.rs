//! Marks API keys whose time is over, and drops claims of addresses whose registration was never finished.

use coder_core::Failure;
use coder_database::Filter;
use coder_handler::{Cause, Invocation};
use jiff::SignedDuration;

use crate::Auth;
use crate::model::{ApiKeyDetails, ApiKeyStatus, EmailClaim};
use crate::service::erasure;

pub(crate) async fn run(auth: Auth, run: Invocation) -> Result<(), Failure> {
    let now = auth.runtime.ambient.now();
    let over = Filter::eq("status", "active").and(Filter::Le("expiresAt".into(), now.to_string().into()));
    for (_, key) in erasure::everywhere(&run, &auth.api_keys, over).await? {
        // Stored times are compared as text above, which is not exact within a second.
        if key.data.details.is_live(now) {
            continue;
        }
        let details = ApiKeyDetails { status: ApiKeyStatus::Expired, ..key.data.details.clone() };
        match auth.replace_api_key(Cause::Job(&run), &key, details, None).await {
            // It was changed meanwhile: the next run sees to it.
            Err(Failure::Stale) => {}
            other => drop(other?),
        }
    }
    drop_lapsed_claims(&auth, &run).await
}

/// The store drops such claims by itself, but takes its time where it is busy.
async fn drop_lapsed_claims(auth: &Auth, run: &Invocation) -> Result<(), Failure> {
    let pending = SignedDuration::from_secs(EmailClaim::PENDING_SECONDS);
    let now = auth.runtime.ambient.now();
    for (partition, claim) in erasure::everywhere(run, &auth.claims, Filter::eq("state", "pending")).await? {
        if now.duration_since(claim.meta.created_at) > pending {
            match erasure::delete(run, partition, &claim).await {
                // It was finished or given back meanwhile.
                Err(Failure::Stale) => {}
                other => other?,
            }
        }
    }
    Ok(())
}
