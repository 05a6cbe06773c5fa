//! Steps 6 and 8: limits by address, by caller and by organization, and where a caller stands with them.

use coder_cache::{Decision, Limit};
use coder_core::problem::RateLimit;
use coder_core::{Code, Problem};

use super::{Authentication, Chain, Identity};

/// `429 rate_limited`, saying which limit and when to come back.
pub(super) fn limited(what: &str, decision: &Decision) -> Problem {
    let seconds = decision.retry_after_seconds.max(1);
    let detail = format!(
        "This {what} has used up the {} requests it may send at once; wait {seconds} s.",
        decision.limit
    );
    Problem { rate_limit: Some(standing(decision)), ..Problem::new(Code::RateLimited, detail) }
        .retry_after(seconds)
}

fn standing(decision: &Decision) -> RateLimit {
    let Decision { limit, remaining, reset_seconds, .. } = *decision;
    RateLimit { limit, remaining, reset_seconds }
}

/// A bucket that refills every minute and holds one minute's worth.
pub(super) fn per_minute(requests: u32) -> Limit {
    Limit { per_minute: requests, burst: requests }
}

pub(super) async fn address(chain: &Chain, identity: &Identity) -> Result<(), Problem> {
    let Some(address) = identity.client_address else { return Ok(()) };
    let limit = per_minute(chain.settings.limits.address_per_minute);
    take(chain, &format!("address:{address}"), limit, "address").await.map(|_| ())
}

/// Where the caller stands with the tightest bucket.
pub(super) async fn caller(
    chain: &Chain,
    authentication: &Authentication,
) -> Result<Option<RateLimit>, Problem> {
    let Authentication::Verified(caller) = authentication else { return Ok(None) };
    let Some(user) = caller.user_id else { return Ok(None) };
    let limits = &chain.settings.limits;
    let own = take(chain, &format!("user:{user}"), per_minute(limits.user_per_minute), "user").await?;
    let Some(organization) = caller.organization_id else { return Ok(Some(standing(&own))) };
    let key = format!("organization:{organization}");
    let shared = take(chain, &key, per_minute(limits.organization_per_minute), "organization").await?;
    Ok(Some(standing(if shared.remaining < own.remaining { &shared } else { &own })))
}

/// Takes one request from a bucket of a single operation or group.
pub(super) async fn operation(
    context: &crate::RequestContext,
    key: &str,
    limit: Limit,
    what: &'static str,
) -> Result<(), coder_core::Failure> {
    let runtime = context.runtime();
    let decision = runtime.limiter.take(key, limit, 1).await;
    if decision.allowed {
        return Ok(());
    }
    runtime.metrics.rate_limited("operation");
    Err(limited(what, &decision).into())
}

async fn take(chain: &Chain, key: &str, limit: Limit, what: &'static str) -> Result<Decision, Problem> {
    let decision = chain.limiter.take(key, limit, 1).await;
    if decision.allowed {
        Ok(decision)
    } else {
        chain.metrics.rate_limited(what);
        Err(limited(what, &decision))
    }
}
