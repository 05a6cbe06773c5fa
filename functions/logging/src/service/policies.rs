//! The retention policies of an organization: those that the platform ships and its own; and what they say of an entry.

use coder_core::id::Uuid;
use coder_core::{Problem, Result, Timestamp};
use coder_database::{Direction, Query, Record};
use jiff::SignedDuration;

use super::Logging;
use super::rules::shipped_record;
use crate::model::{Entry, PolicyId, PolicyMatch, RetentionPolicy, Trail};

/// Most policies of an organization.
pub const MAX_POLICIES: usize = 100;
/// How long an entry is kept that no other policy is for.
pub const DEFAULT_DAYS: u32 = 365;
/// Days until a shortened time takes effect.
pub const NOTICE_DAYS: i64 = 7;

/// The policies that the platform ships, in an order that never changes: what actions begin with, days, immutable.
const SHIPPED: [(Option<&str>, u32, bool); 11] = [
    (None, DEFAULT_DAYS, false),
    (Some("users.role."), 730, false),
    (Some("users.grant."), 730, false),
    (Some("users.membership."), 730, false),
    (Some("auth.policy."), 730, false),
    (Some("logging.retention-policy."), 730, false),
    (Some("logging.settings."), 730, false),
    (Some("users.organization.deletion-requested"), 2555, true),
    (Some("users.organization.purged"), 2555, true),
    (Some("users.project.deleted"), 2555, true),
    (Some("users.organization.deleted"), 2555, true),
];

fn shipped_id(number: usize) -> PolicyId {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_4e7e_0000_0000 + number as u128 + 1).into()
}

/// The shipped policies.
fn shipped(trail: Trail) -> Vec<Record<RetentionPolicy>> {
    let policy = |(number, (prefix, days, immutable)): (usize, &(Option<&str>, u32, bool))| {
        let data = RetentionPolicy {
            matches: PolicyMatch { action_prefix: prefix.map(str::to_owned), ..PolicyMatch::default() },
            retention_days: *days,
            archive: false,
            immutable: *immutable,
            former_days: None,
            changes_at: None,
            ends_at: None,
            built_in: true,
        };
        shipped_record(shipped_id(number).to_string(), trail, data)
    };
    SHIPPED.iter().enumerate().map(policy).collect()
}

/// The policies of one organization at one time.
#[derive(Debug, Clone)]
pub struct Policies {
    policies: Vec<RetentionPolicy>,
    now: Timestamp,
}

impl Policies {
    /// Whether an entry's time is over: that of the longest policy that is for it, or the default.
    pub fn expired(&self, entry: &Entry) -> bool {
        let age = self.now.duration_since(entry.time.max(entry.received_at));
        age > SignedDuration::from_hours(24 * i64::from(self.days(entry)))
    }

    fn days(&self, entry: &Entry) -> u32 {
        let everything = PolicyMatch::default();
        let fitting = self.policies.iter().filter(|policy| policy.matches.fits(entry));
        // The default holds where nothing more particular does.
        let named = fitting.filter(|policy| !policy.built_in || policy.matches != everything);
        named.filter_map(|policy| policy.days_at(self.now)).max().unwrap_or(DEFAULT_DAYS)
    }

    /// Whether a removed month with this entry is archived.
    pub fn archives(&self, entry: &Entry) -> bool {
        self.policies.iter().any(|policy| policy.archive && policy.matches.fits(entry))
    }

    /// The shortest time of all, before which nothing can be over.
    pub fn least_days(&self) -> u32 {
        let days = self.policies.iter().filter_map(|policy| policy.days_at(self.now));
        days.min().unwrap_or(DEFAULT_DAYS)
    }
}

impl Logging {
    /// Every policy, the shipped ones first.
    pub async fn policies_of(&self, trail: Trail) -> Result<Vec<Record<RetentionPolicy>>> {
        let query = Query::new(None).order_by("createdAt", Direction::Ascending).limit(1000);
        let (own, _) = self.policies.page(&trail.config(), &query).await?;
        let mut policies = shipped(trail);
        policies.extend(own);
        Ok(policies)
    }

    /// The policies as they hold now.
    pub async fn retention(&self, trail: Trail) -> Result<Policies> {
        let policies = self.policies_of(trail).await?.into_iter().map(|policy| policy.data).collect();
        Ok(Policies { policies, now: self.now() })
    }

    /// A policy; `404` if there is none.
    pub async fn policy(&self, trail: Trail, id: PolicyId) -> Result<Record<RetentionPolicy>> {
        if let Some(shipped) = shipped(trail).into_iter().find(|policy| policy.meta.id == id.to_string()) {
            return Ok(shipped);
        }
        let found = self.policies.find(&trail.config(), &id.to_string()).await?;
        found.ok_or_else(|| Problem::not_found("retention policy").into())
    }
}

#[cfg(test)]
mod tests {
    use coder_middleware::Example as _;

    use super::*;
    use crate::model::{Category, Severity};

    fn policies(own: Vec<RetentionPolicy>, now: &str) -> Policies {
        let mut policies: Vec<_> = shipped(Trail::Platform).into_iter().map(|policy| policy.data).collect();
        policies.extend(own);
        Policies { policies, now: now.parse().unwrap() }
    }

    fn own(matches: PolicyMatch, retention_days: u32) -> RetentionPolicy {
        RetentionPolicy { matches, retention_days, ..RetentionPolicy::example() }
    }

    fn entry(action: &str, severity: Severity) -> Entry {
        Entry { action: action.to_owned(), severity, category: Category::Action, ..Entry::example() }
    }

    #[test]
    fn the_longest_fitting_policy_counts_and_the_default_only_alone() {
        let debug = PolicyMatch { severity: Some(Severity::Debug), ..PolicyMatch::default() };
        let plain = policies(vec![own(debug, 30)], "2026-01-05T00:00:00Z");
        assert_eq!(plain.days(&entry("users.team.created", Severity::Info)), 365);
        assert_eq!(plain.days(&entry("users.team.created", Severity::Debug)), 30);
        assert_eq!(plain.days(&entry("users.role.updated", Severity::Debug)), 730);
        assert_eq!(plain.days(&entry("users.project.deleted", Severity::Debug)), 2555);
        let all = policies(vec![own(PolicyMatch::default(), 1000)], "2026-01-05T00:00:00Z");
        assert_eq!(all.days(&entry("users.team.created", Severity::Info)), 1000);
    }

    #[test]
    fn a_shortened_policy_waits_and_a_deleted_one_ends() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let policy = RetentionPolicy {
            retention_days: 30,
            former_days: Some(400),
            changes_at: Some(at("2026-01-05T00:00:00Z")),
            ends_at: Some(at("2026-02-05T00:00:00Z")),
            ..RetentionPolicy::example()
        };
        assert_eq!(policy.days_at(at("2026-01-04T23:59:59Z")), Some(400));
        assert_eq!(policy.days_at(at("2026-01-05T00:00:00Z")), Some(30));
        assert_eq!(policy.days_at(at("2026-02-05T00:00:00Z")), None);
    }

    #[test]
    fn an_entry_is_over_after_its_days() {
        let entry = Entry {
            time: "2025-01-05T00:00:00Z".parse().unwrap(),
            received_at: "2025-01-05T00:00:00Z".parse().unwrap(),
            ..entry("users.team.created", Severity::Info)
        };
        assert!(!policies(Vec::new(), "2026-01-05T00:00:00Z").expired(&entry));
        assert!(policies(Vec::new(), "2026-01-05T00:00:01Z").expired(&entry));
    }
}
