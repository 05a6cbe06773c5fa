//! Tells of API keys that end soon, and puts the lists of keys in order.

use coder_core::{Failure, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::{Cause, Invocation};

use crate::Auth;
use crate::model::{ApiKey, ApiKeyListing, CONTAINER};
use crate::service::api_keys::payload;
use crate::service::{erasure, repository};

/// Seconds after which a key that is in no list will never be in one.
const UNLISTED_SECONDS: i64 = 3600;

const DAY: i64 = 24 * 3600;

pub(crate) async fn run(auth: Auth, run: Invocation) -> Result<(), Failure> {
    let now = auth.runtime.ambient.now();
    for (_, key) in erasure::everywhere(&run, &auth.api_keys, Filter::eq("status", "active")).await? {
        if !key.data.details.is_live(now) || !put_in_list(&auth, &run, &key, now).await? {
            continue;
        }
        if let Some(days) = notice_due(&key.data, now) {
            tell(&run, &key, days).await?;
        }
    }
    Ok(())
}

/// Brings the list up to date. A key that was never listed was never shown to anybody: its request broke off, and
/// it goes. Answers whether the key is still there.
async fn put_in_list(
    auth: &Auth,
    run: &Invocation,
    key: &Record<ApiKey>,
    now: Timestamp,
) -> Result<bool, Failure> {
    let list = ApiKeyListing::partition(key.data.details.owner_organization_id);
    let listed = repository::<ApiKeyListing>(&auth.runtime).find(&list, &key.meta.id).await?.is_some();
    if listed {
        auth.list_api_key(Cause::Job(run), key).await?;
    } else if now.duration_since(key.meta.created_at).as_secs() > UNLISTED_SECONDS {
        erasure::erase_key(auth, run, key).await?;
    }
    Ok(listed)
}

/// The notice that is due: the least that the days left fall under, unless it was given. One that a missed run
/// left out is given late.
fn notice_due(key: &ApiKey, now: Timestamp) -> Option<i64> {
    let left = key.details.expires_at.duration_since(now).as_secs();
    let due = ApiKey::NOTICE_DAYS.into_iter().filter(|days| left <= days * DAY).min()?;
    key.noticed_days.is_none_or(|noticed| due < noticed).then_some(due)
}

async fn tell(run: &Invocation, key: &Record<ApiKey>, days: i64) -> Result<(), Failure> {
    let details = &key.data.details;
    let mut unit = run.begin(CONTAINER, ApiKey::partition(&key.meta.id)).without_audit();
    unit.replace(key, ApiKey { noticed_days: Some(days), ..key.data.clone() })?;
    unit.emit_for(details.owner_organization_id, "api-key.expiring", &key.meta.id, payload(details));
    match run.commit(unit).await {
        // It was just used or changed: tomorrow's run sees to it.
        Err(Failure::Stale) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use coder_core::id::EXAMPLE;
    use coder_core::{Scope, Timestamp};
    use jiff::SignedDuration;

    use super::notice_due;
    use crate::model::{ApiKey, ApiKeyDetails, ApiKeyStatus};

    fn key(noticed_days: Option<i64>) -> ApiKey {
        let details = ApiKeyDetails {
            key_id: "0123456789abcdef".into(),
            name: "build".into(),
            user_id: EXAMPLE.into(),
            owner_organization_id: EXAMPLE.into(),
            permissions: std::iter::empty().collect(),
            scope: Scope::Organization(EXAMPLE.into()),
            allowed_cidrs: Vec::new(),
            expires_at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 90),
            last_used_at: None,
            last_used_ip: None,
            status: ApiKeyStatus::Active,
            replaced_by: None,
        };
        ApiKey { details, secret_hash: "00".into(), noticed_days }
    }

    #[track_caller]
    fn check(days_left: i64, noticed: Option<i64>, expected: Option<i64>) {
        let key = key(noticed);
        let now = key.details.expires_at - SignedDuration::from_hours(24 * days_left);
        assert_eq!(notice_due(&key, now), expected);
    }

    #[test]
    fn three_notices_each_given_once() {
        check(90, None, None);
        check(15, None, None);
        check(14, None, Some(14));
        check(13, Some(14), None);
        check(7, Some(14), Some(7));
        check(1, Some(7), Some(1));
        check(1, Some(1), None);
    }

    #[test]
    fn a_missed_notice_is_given_late_and_only_the_nearest() {
        check(12, None, Some(14));
        check(5, None, Some(7));
        check(5, Some(14), Some(7));
    }
}
