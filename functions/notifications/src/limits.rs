//! How much one person is told in an hour.

use coder_cache::{Limit, RateLimiter};
use coder_core::{OrganizationId, UserId};

use crate::deliver::{Channel, of_tenant};

/// A token stands for a minute of an hourly allowance.
const COST: u32 = 60;

/// Together 190, hence less than the 200 that one person is told at most.
fn hourly(channel: Channel) -> u32 {
    match channel {
        Channel::Inbox => 100,
        Channel::Email => 20,
        Channel::Push => 50,
        Channel::Webhook | Channel::Sms => 10,
    }
}

/// A rested person can be told twice an hour's worth at once.
fn limit(hourly: u32) -> Limit {
    Limit { per_minute: hourly, burst: 2 * hourly * COST }
}

/// Whether the person may be told one more thing on this channel now.
pub async fn admits(
    limiter: &dyn RateLimiter,
    organization_id: Option<OrganizationId>,
    user_id: UserId,
    channel: Channel,
) -> bool {
    let tenant = of_tenant(organization_id).key().0.join("/");
    let key = format!("notify:{tenant}:{user_id}:{}", channel.as_str());
    limiter.take(&key, limit(hourly(channel)), COST).await.allowed
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_cache::MemoryLimiter;
    use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
    use jiff::SignedDuration;

    #[tokio::test]
    async fn mail_stops_at_twice_an_hours_worth_and_comes_back_evenly() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let limiter = MemoryLimiter::new(Ambient::new(clock.clone(), OsEntropy));
        let user = coder_core::id::EXAMPLE.into();
        let mut passed = 0;
        while admits(&limiter, None, user, Channel::Email).await {
            passed += 1;
        }
        assert_eq!(passed, 40);
        clock.advance(SignedDuration::from_mins(3));
        assert!(admits(&limiter, None, user, Channel::Email).await);
        assert!(!admits(&limiter, None, user, Channel::Email).await);
        assert!(admits(&limiter, None, user, Channel::Inbox).await);
    }
}
