//! The alert rules of an organization: those that the platform ships, as the organization changed them, and its own.

use coder_core::Result;
use coder_core::id::Uuid;
use coder_database::{Direction, Meta, Query, Record};

use super::Logging;
use super::filter::EntryFilter;
use crate::model::{AlertRule, GroupBy, Notify, RuleId, RuleKind, Severity, Trail};

/// Most rules of an organization.
pub const MAX_RULES: usize = 200;
/// How long a rule stays quiet, unless it says otherwise.
pub const COOLDOWN_SECONDS: u32 = 3600;

/// What is particular to a shipped rule.
struct Shipped {
    name: &'static str,
    kind: RuleKind,
    action: &'static str,
    least: Option<Severity>,
    group_by: &'static [GroupBy],
    threshold: u32,
    window_seconds: u32,
    severity: Severity,
}

const fn pattern(name: &'static str, action: &'static str, severity: Severity) -> Shipped {
    let (kind, group_by) = (RuleKind::Pattern, &[GroupBy::ResourceId] as &[GroupBy]);
    Shipped { name, kind, action, least: None, group_by, threshold: 1, window_seconds: 60, severity }
}

const fn threshold(
    name: &'static str,
    action: &'static str,
    group_by: &'static [GroupBy],
    threshold: u32,
    window_seconds: u32,
) -> Shipped {
    let (kind, least, severity) = (RuleKind::Threshold, None, Severity::Warn);
    Shipped { name, kind, action, least, group_by, threshold, window_seconds, severity }
}

/// The rules that the platform ships, in an order that never changes: their ids count from it.
const SHIPPED: [Shipped; 8] = [
    threshold("Failed logins of one identity", "auth.login.failed", &[GroupBy::ResourceId], 5, 900),
    threshold("Many sessions revoked", "auth.session.revoked", &[], 10, 300),
    threshold(
        "Many password resets from one address",
        "auth.password.reset-requested",
        &[GroupBy::ActorIpAddress],
        10,
        3600,
    ),
    threshold("Many members removed", "users.membership.removed", &[], 5, 600),
    Shipped {
        least: Some(Severity::Warn),
        ..pattern("Owners or administrators changed", "users.membership.*", Severity::Warn)
    },
    pattern("Organization to be deleted", "users.organization.deletion-requested", Severity::Critical),
    pattern("Audit log does not verify", "logging.chain.verification-failed", Severity::Critical),
    pattern("Used refresh token came again", "auth.session.reuse-detected", Severity::Critical),
];

/// The id of a shipped rule.
fn shipped_id(number: usize) -> RuleId {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_a1e7_0000_0000 + number as u128 + 1).into()
}

/// The shipped rules as they come.
fn shipped(trail: Trail) -> Vec<Record<AlertRule>> {
    let rule = |(number, rule): (usize, &Shipped)| {
        let data = AlertRule {
            name: rule.name.to_owned(),
            kind: rule.kind,
            filter: EntryFilter {
                action: Some(rule.action.to_owned()),
                severity: rule.least,
                ..EntryFilter::default()
            },
            group_by: rule.group_by.to_vec(),
            threshold: rule.threshold,
            window_seconds: rule.window_seconds,
            cooldown_seconds: COOLDOWN_SECONDS,
            severity: rule.severity,
            notify: ["owner", "admin"].map(|role| Notify::Role(role.to_owned())).to_vec(),
            enabled: true,
            built_in: true,
        };
        shipped_record(shipped_id(number).to_string(), trail, data)
    };
    SHIPPED.iter().enumerate().map(rule).collect()
}

/// A record of what the platform ships; it is in no store.
pub(crate) fn shipped_record<T: coder_database::Entity>(id: String, trail: Trail, data: T) -> Record<T> {
    let mut record = Record::example(data);
    let (organization_id, by) = (trail.organization_id(), "platform".to_owned());
    let meta = record.meta.clone();
    record.meta = Meta { id, organization_id, created_by: by.clone(), updated_by: by, ..meta };
    record
}

impl Logging {
    /// Every rule, the shipped ones first.
    pub async fn rules_of(&self, trail: Trail) -> Result<Vec<Record<AlertRule>>> {
        let query = Query::new(None).order_by("name", Direction::Ascending).limit(1000);
        let (mut own, _) = self.rules.page(&trail.config(), &query).await?;
        let mut rules = shipped(trail);
        for rule in &mut rules {
            if let Some(at) = own.iter().position(|one| one.meta.id == rule.meta.id) {
                *rule = own.swap_remove(at);
            }
        }
        own.sort_by(|one, other| one.data.name.cmp(&other.data.name));
        rules.extend(own);
        Ok(rules)
    }

    /// The rule, and whether it is stored: a shipped one that nobody changed is not.
    pub async fn rule(&self, trail: Trail, id: RuleId) -> Result<(Record<AlertRule>, bool)> {
        if let Some(own) = self.rules.find(&trail.config(), &id.to_string()).await? {
            return Ok((own, true));
        }
        let found = shipped(trail).into_iter().find(|rule| rule.meta.id == id.to_string());
        let missing = || coder_core::Problem::not_found("alert rule");
        found.map(|rule| (rule, false)).ok_or_else(|| missing().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_rules_are_those_that_are_promised() {
        let rules = shipped(Trail::Platform);
        assert_eq!(rules.len(), 8);
        assert!(rules.iter().all(|rule| rule.data.enabled && rule.data.built_in));
        let ids: std::collections::BTreeSet<_> = rules.iter().map(|rule| &rule.meta.id).collect();
        assert_eq!(ids.len(), 8);
        assert!(ids.iter().all(|id| id.parse::<RuleId>().is_ok()));
    }
}
