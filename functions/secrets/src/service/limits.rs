//! How many secrets an organization has, and how often values may be asked for.

use coder_cache::{Decision, Limit};
use coder_core::problem::RateLimit;
use coder_core::{Code, Problem, Result};
use coder_database::{Operation, Patch, Transaction};

use super::Secrets;
use crate::access::Asker;
use crate::model::{SecretId, Tally};

/// Secrets that an organization can have, deleted ones included until they are purged. Requests at the same moment
/// can pass it by a few.
pub const MOST_SECRETS: i64 = 10_000;

/// Requests for values a minute by one person.
const VALUES_PER_PERSON: u32 = 100;

/// Requests for values a minute in one organization.
const VALUES_PER_ORGANIZATION: u32 = 1_000;

impl Secrets {
    /// Counts one more secret; `409 limit_reached` when there are too many.
    pub(crate) async fn count_one_more(&self, unit: &mut Transaction) -> Result<()> {
        match self.tallies.find(&unit.partition().clone(), Tally::ID).await? {
            Some(tally) if tally.data.secrets >= MOST_SECRETS => {
                let detail = format!("An organization has at most {MOST_SECRETS} secrets; purge some first.");
                Err(Problem::new(Code::LimitReached, detail).into())
            }
            Some(_) => {
                add(unit, 1);
                Ok(())
            }
            // Two first secrets at once meet at the key ring, and the second runs again.
            None => unit.mirror(Tally::ID, Tally { secrets: 1 }).map(|_| ()),
        }
    }

    /// Counts one secret less.
    pub(crate) fn count_one_less(unit: &mut Transaction) {
        add(unit, -1);
    }

    /// Takes a request for values from the buckets of the person and the organization.
    pub(crate) async fn limit_values(&self, asker: &Asker) -> Result<()> {
        let who = match (asker.user_id, &asker.group) {
            (Some(user), _) => user.to_string(),
            (None, group) => group.clone().unwrap_or_default(),
        };
        let own = format!("secrets-values:{}:{who}", asker.organization_id);
        let shared = format!("secrets-values:{}", asker.organization_id);
        for (key, limit, whose) in
            [(own, VALUES_PER_PERSON, "person"), (shared, VALUES_PER_ORGANIZATION, "organization")]
        {
            let decision = self.runtime.limiter.take(&key, Limit::per_minute(limit), 1).await;
            if !decision.allowed {
                self.runtime.metrics.rate_limited("operation");
                return Err(limited(whose, &decision).into());
            }
        }
        Ok(())
    }
}

fn add(unit: &mut Transaction, by: i64) {
    let patches = vec![Patch::Increment { field: "secrets".to_owned(), by }];
    unit.push(Operation::Patch { id: Tally::ID.to_owned(), patches, if_match: None });
}

fn limited(whose: &str, decision: &Decision) -> Problem {
    let seconds = decision.retry_after_seconds.max(1);
    let Decision { limit, remaining, reset_seconds, .. } = *decision;
    let detail = format!("This {whose} has asked for values {limit} times in a minute; wait {seconds} s.");
    let rate_limit = Some(RateLimit { limit, remaining, reset_seconds });
    Problem { rate_limit, ..Problem::new(Code::RateLimited, detail) }.retry_after(seconds)
}

/// What a ciphertext is bound to.
pub(crate) fn bound_to(
    organization_id: coder_core::OrganizationId,
    secret_id: SecretId,
    version: u32,
    kind: crate::value::Kind,
) -> String {
    format!("{organization_id}|{secret_id}|{version}|{}", kind.as_str())
}

#[cfg(test)]
mod tests {
    use coder_core::id::EXAMPLE;

    use super::bound_to;
    use crate::value::Kind;

    #[test]
    fn a_ciphertext_is_bound_to_all_that_says_whose_it_is() {
        let other = coder_core::id::Uuid::nil();
        let bound = bound_to(EXAMPLE.into(), other.into(), 7, Kind::ApiKey);
        assert_eq!(bound, format!("{EXAMPLE}|{other}|7|api_key"));
    }
}
