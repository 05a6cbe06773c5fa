//! Evaluating alert rules over the entries since the last run, and raising what they find.

use std::collections::BTreeMap;

use coder_core::{Code, Failure, Result, Timestamp};
use coder_database::{Direction, Filter, Record, Transaction};
use coder_handler::retry_stale;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::Logging;
use super::filter::Span;
use super::search::Search;
use crate::model::{
    Alert, AlertCooldown, AlertId, AlertPosition, AlertRule, AlertState, GroupBy, Notify, RuleKind, Trail,
    derived,
};

/// Days that an act must not have been done before to be rare.
const RARE_DAYS: i64 = 90;
/// Entries that one run looks at; more wait for the next.
const MOST: u64 = 5000;
/// Alerts that one rule raises in a run; what is more is counted with the last.
const MAX_ALERTS: usize = 50;

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The values of the rule's `groupBy`.
    pub group_key: String,
    /// Entries that count.
    pub count: u64,
    /// The first of them.
    pub first_entry_id: String,
    /// The last of them.
    pub last_entry_id: String,
}

/// An entry, as far as rules look at it.
#[derive(Debug, Clone)]
struct Seen<'a> {
    seq: u64,
    id: &'a str,
    time: Timestamp,
    body: &'a Value,
}

impl<'a> Seen<'a> {
    fn of(body: &'a Value) -> Option<Self> {
        let time = body["time"].as_str()?.parse().ok()?;
        Some(Self { seq: body["seq"].as_u64()?, id: body["id"].as_str()?, time, body })
    }

    /// What the rule counts apart; none if the entry lacks it.
    fn group(&self, by: &[GroupBy]) -> Option<String> {
        let value = |by: &GroupBy| {
            match by {
                GroupBy::ActorId => &self.body["actor"]["id"],
                GroupBy::ActorIpAddress => &self.body["actor"]["ipAddress"],
                GroupBy::ResourceId => &self.body["resourceId"],
            }
            .as_str()
        };
        by.iter().map(value).collect::<Option<Vec<_>>>().map(|values| values.join("|"))
    }
}

/// What a threshold rule finds: for each group that has a new entry, whether so many lie within one window that ends
/// at a new one. `entries` are all that could count, in any order.
fn over_threshold(rule: &AlertRule, entries: &[Seen<'_>], new_after: u64) -> Vec<Finding> {
    let mut groups: BTreeMap<String, Vec<&Seen<'_>>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| rule.filter.matches(entry.body)) {
        if let Some(group) = entry.group(&rule.group_by) {
            groups.entry(group).or_default().push(entry);
        }
    }
    let window = SignedDuration::from_secs(rule.window_seconds.into());
    let mut findings = Vec::new();
    for (group_key, mut members) in groups {
        members.sort_by_key(|entry| (entry.time, entry.seq));
        let mut found: Option<Finding> = None;
        let mut start = 0;
        for end in 0..members.len() {
            while members[end].time.duration_since(members[start].time) >= window {
                start += 1;
            }
            let inside = &members[start..=end];
            // An entry can arrive late, so any member of the window may be the new one.
            let fresh = inside.iter().any(|entry| entry.seq > new_after);
            if fresh && inside.len() >= rule.threshold as usize {
                let (first, last) = (inside[0].id.to_owned(), members[end].id.to_owned());
                let count = inside.len() as u64;
                found = Some(match found {
                    Some(before) => Finding { last_entry_id: last, count: count.max(before.count), ..before },
                    None => {
                        let group_key = group_key.clone();
                        Finding { group_key, count, first_entry_id: first, last_entry_id: last }
                    }
                });
            }
        }
        findings.extend(found);
    }
    findings
}

/// What a pattern rule finds: each group of new entries that match.
fn matching(rule: &AlertRule, entries: &[Seen<'_>], new_after: u64) -> Vec<Finding> {
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.seq > new_after && rule.filter.matches(entry.body)) {
        let group_key = entry.group(&rule.group_by).unwrap_or_default();
        let found = findings.entry(group_key.clone()).or_insert_with(|| Finding {
            group_key,
            count: 0,
            first_entry_id: entry.id.to_owned(),
            last_entry_id: String::new(),
        });
        found.count += 1;
        entry.id.clone_into(&mut found.last_entry_id);
    }
    findings.into_values().collect()
}

impl Logging {
    /// Looks at the entries since the last run with every rule that is enabled. Answers how many alerts were raised.
    pub(crate) async fn evaluate(&self, trail: Trail) -> Result<usize> {
        let position = self.positions.find(&trail.config(), AlertPosition::ID).await?;
        let looked = position.as_ref().map_or(0, |position| position.data.last_seq);
        let last = self.last_seq(trail).await?.min(looked.saturating_add(MOST));
        if last <= looked {
            return Ok(0);
        }
        let mut raised = 0;
        let rules = self.rules_of(trail).await?;
        for rule in rules.iter().filter(|rule| rule.data.enabled) {
            for finding in self.findings(trail, &rule.data, looked, last).await?.into_iter().take(MAX_ALERTS)
            {
                raised += usize::from(retry_stale(|| self.raise(trail, rule, &finding)).await?);
            }
        }
        // Last, so that a run that was cut short is made up for; what it raised stays quiet by then.
        let mut transaction = self.own_transaction(trail.config());
        transaction.mirror(AlertPosition::ID, AlertPosition { last_seq: last })?;
        self.commit_own(transaction).await?;
        Ok(raised)
    }

    /// What a rule finds among the entries after `looked` up to `last`.
    pub(crate) async fn findings(
        &self,
        trail: Trail,
        rule: &AlertRule,
        looked: u64,
        last: u64,
    ) -> Result<Vec<Finding>> {
        let numbered = Search::numbered(trail, looked.saturating_add(1), last);
        let new = self.first(&numbered.clone().only(rule.filter.stored()), usize::MAX).await?;
        let new: Vec<Value> = new.into_iter().map(|document| document.body).collect();
        let seen: Vec<Seen<'_>> = new.iter().filter_map(Seen::of).collect();
        let Some(earliest) = seen.iter().map(|entry| entry.time).min() else { return Ok(Vec::new()) };
        match rule.kind {
            RuleKind::Pattern => Ok(matching(rule, &seen, looked)),
            RuleKind::Threshold => {
                let window = SignedDuration::from_secs(rule.window_seconds.into());
                let from = earliest.saturating_sub(window).unwrap_or(earliest);
                let span = Span { from, to: Timestamp::MAX };
                let all = Search { span, from_seq: 1, ..numbered }.only(rule.filter.stored());
                let all = self.first(&all, usize::MAX).await?;
                let all: Vec<Value> = all.into_iter().map(|document| document.body).collect();
                let seen: Vec<Seen<'_>> = all.iter().filter_map(Seen::of).collect();
                Ok(over_threshold(rule, &seen, looked))
            }
            RuleKind::Rare => self.rare(trail, rule, &seen).await,
        }
    }

    /// The new entries whose actor did no such thing in the 90 days before.
    async fn rare(&self, trail: Trail, rule: &AlertRule, new: &[Seen<'_>]) -> Result<Vec<Finding>> {
        let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
        for entry in new.iter().filter(|entry| rule.filter.matches(entry.body)) {
            let (actor, action) = (&entry.body["actor"]["id"], &entry.body["action"]);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let group_key = format!("{}|{}", text(actor), text(action));
            if let Some(found) = findings.get_mut(&group_key) {
                found.count += 1;
                entry.id.clone_into(&mut found.last_entry_id);
                continue;
            }
            let days = SignedDuration::from_hours(24 * RARE_DAYS);
            let from = entry.time.saturating_sub(days).unwrap_or(Timestamp::UNIX_EPOCH);
            let same = Filter::eq("actor.id", actor.clone()).and(Filter::eq("action", action.clone()));
            let mut before = Search::numbered(trail, 1, entry.seq.saturating_sub(1)).only(same);
            before.span = Span { from, to: entry.time };
            before.direction = Direction::Descending;
            if self.first(&before, 1).await?.is_empty() {
                let (first_entry_id, last_entry_id) = (entry.id.to_owned(), entry.id.to_owned());
                let finding =
                    Finding { group_key: group_key.clone(), count: 1, first_entry_id, last_entry_id };
                findings.insert(group_key, finding);
            }
        }
        Ok(findings.into_values().collect())
    }

    /// Raises an alert, unless the rule stays quiet about the group: then the finding is counted with the alert that
    /// is there. Answers whether one was raised.
    async fn raise(&self, trail: Trail, rule: &Record<AlertRule>, finding: &Finding) -> Result<bool> {
        let (partition, now) = (trail.config(), self.now());
        let cooldown_id = format!("cooldown:{}", derived(&[&rule.meta.id, &finding.group_key]));
        let quiet = self.cooldowns.find(&partition, &cooldown_id).await?;
        let mut transaction = self.own_transaction(partition.clone());
        if let Some(quiet) = quiet.filter(|quiet| quiet.data.until > now) {
            if let Some(alert) = self.alerts.find(&partition, &quiet.data.alert_id).await?
                && alert.data.last_entry_id != finding.last_entry_id
                && alert.data.state != AlertState::Closed
            {
                let count = match rule.data.kind {
                    RuleKind::Threshold => alert.data.count.max(finding.count),
                    RuleKind::Pattern | RuleKind::Rare => alert.data.count + finding.count,
                };
                let last_entry_id = finding.last_entry_id.clone();
                transaction.replace(&alert, Alert { count, last_entry_id, ..alert.data.clone() })?;
                self.commit_own(transaction).await?;
            }
            return Ok(false);
        }
        let id: AlertId =
            derived(&["alert", &rule.meta.id, &finding.group_key, &finding.first_entry_id]).into();
        add_alert(&mut transaction, id, rule, finding)?;
        let until = self.runtime.ambient.after(rule.data.cooldown_seconds.into());
        let cooldown = AlertCooldown { alert_id: id.to_string(), until };
        let mut record = transaction.record(&cooldown_id, cooldown);
        record.expires_at = Some(until.saturating_add(SignedDuration::from_hours(1)).unwrap_or(until));
        transaction.upsert(&record)?;
        match self.commit_own(transaction).await {
            // Raised by a run that was cut short.
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }
}

fn add_alert(
    transaction: &mut Transaction,
    id: AlertId,
    rule: &Record<AlertRule>,
    finding: &Finding,
) -> Result<(), Failure> {
    let alert = Alert {
        rule_id: rule.meta.id.clone(),
        name: rule.data.name.clone(),
        severity: rule.data.severity,
        group_key: finding.group_key.clone(),
        count: finding.count,
        first_entry_id: finding.first_entry_id.clone(),
        last_entry_id: finding.last_entry_id.clone(),
        state: AlertState::Open,
    };
    let notify: &[Notify] = &rule.data.notify;
    let data = json!({
        "alertId": id, "ruleId": alert.rule_id, "name": alert.name, "severity": alert.severity,
        "groupKey": alert.group_key, "count": alert.count, "firstEntryId": alert.first_entry_id, "notify": notify,
    });
    transaction.create(id, alert)?;
    transaction.emit("alert.raised", &id.to_string(), data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;
    use crate::service::filter::EntryFilter;

    fn rule(kind: RuleKind, threshold: u32, window_seconds: u32) -> AlertRule {
        AlertRule {
            name: "Rule".to_owned(),
            kind,
            filter: EntryFilter { action: Some("auth.login.failed".to_owned()), ..EntryFilter::default() },
            group_by: vec![GroupBy::ResourceId],
            threshold,
            window_seconds,
            cooldown_seconds: 0,
            severity: Severity::Warn,
            notify: Vec::new(),
            enabled: true,
            built_in: false,
        }
    }

    fn entry(seq: u64, second: i64, resource: &str) -> Value {
        json!({
            "seq": seq, "id": format!("e{seq}"), "time": Timestamp::from_second(second).unwrap(),
            "action": "auth.login.failed", "resourceId": resource, "actor": {"id": "anonymous"},
        })
    }

    fn seen(entries: &[Value]) -> Vec<Seen<'_>> {
        entries.iter().filter_map(Seen::of).collect()
    }

    #[test]
    fn a_threshold_counts_each_group_in_a_sliding_window() {
        let rule = rule(RuleKind::Threshold, 3, 60);
        let entries = [
            entry(1, 0, "a"),
            entry(2, 30, "a"),
            entry(3, 59, "a"),
            entry(4, 60, "b"),
            entry(5, 61, "b"),
            entry(6, 200, "c"),
            entry(7, 230, "c"),
            entry(8, 260, "c"),
        ];
        let found = over_threshold(&rule, &seen(&entries), 0);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].group_key.as_str(), found[0].count), ("a", 3));
        assert_eq!((found[0].first_entry_id.as_str(), found[0].last_entry_id.as_str()), ("e1", "e3"));
        // Nothing new in the window, nothing found.
        assert_eq!(over_threshold(&rule, &seen(&entries), 3), []);
        // The last one may arrive before the others.
        let late = [entry(9, 10, "d"), entry(7, 30, "d"), entry(8, 20, "d")];
        assert_eq!(over_threshold(&rule, &seen(&late), 8)[0].count, 3);
    }

    #[test]
    fn a_pattern_finds_every_new_group() {
        let entries = [entry(1, 0, "a"), entry(2, 0, "a"), entry(3, 0, "b"), entry(4, 0, "a")];
        let found = matching(&rule(RuleKind::Pattern, 1, 60), &seen(&entries), 1);
        let shown: Vec<_> = found.iter().map(|one| (one.group_key.as_str(), one.count)).collect();
        assert_eq!(shown, [("a", 2), ("b", 1)]);
    }

    #[test]
    fn an_entry_without_what_is_counted_apart_does_not_count() {
        let mut rule = rule(RuleKind::Threshold, 1, 60);
        rule.group_by = vec![GroupBy::ActorIpAddress];
        assert_eq!(over_threshold(&rule, &seen(&[entry(1, 0, "a")]), 0), []);
    }
}
