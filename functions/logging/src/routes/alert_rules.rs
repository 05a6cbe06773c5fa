//! Alert rules.

use coder_core::{Code, Failure, Fault, Problem, Result};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch,
    Path, State,
};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalogue::{AlertRuleCreate, AlertRuleDelete, AlertRuleRead, AlertRuleUpdate};
use crate::model::{AlertRule, CONTAINER, GroupBy, Notify, RuleId, RuleKind, Severity, Trail, claims};
use crate::service::Logging;
use crate::service::alerts::Finding;
use crate::service::filter::{EntryFilter, Span};
use crate::service::rules::{COOLDOWN_SECONDS, MAX_RULES};
use crate::service::search::{Search, in_time};

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    let (all, one) = ("/alert-rules", "/alert-rules/{ruleId}");
    routes
        .get(all, "list_audit_alert_rules", "List alert rules, those of the platform first", list)
        .post(all, "create_audit_alert_rule", "Create an alert rule", create)
        .problems([Code::AlreadyExists, Code::LimitReached])
        .get(one, "get_audit_alert_rule", "Read an alert rule", get)
        .patch(one, "update_audit_alert_rule", "Change an alert rule", update)
        .problems([Code::AlreadyExists])
        .delete(one, "delete_audit_alert_rule", "Delete an alert rule", delete)
        .problems([Code::Immutable])
        .post(
            &format!("{one}/test"),
            "test_audit_alert_rule",
            "Try an alert rule without raising anything",
            test,
        )
        .problems([Code::NarrowTheRange])
}

/// What a client writes of a rule.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleWrite {
    /// The name; unique in the organization whatever its case.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// How it decides.
    kind: RuleKind,
    /// Which entries it looks at.
    #[serde(default)]
    filter: EntryFilter,
    /// What it counts apart.
    #[serde(default)]
    #[schemars(extend("maxItems" = 2, "uniqueItems" = true))]
    group_by: Vec<GroupBy>,
    /// How many entries it takes; of `threshold` only.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    threshold: u32,
    /// In how long; of `threshold` only.
    #[serde(default = "quarter")]
    #[schemars(range(min = 60, max = 86_400))]
    window_seconds: u32,
    /// How long it stays quiet about the same group.
    #[serde(default = "cooldown")]
    #[schemars(range(min = 60, max = 604_800))]
    cooldown_seconds: u32,
    /// How much its alerts matter.
    #[serde(default)]
    severity: Severity,
    /// Who is told; owners and administrators, if nobody is named.
    #[serde(default)]
    #[schemars(extend("maxItems" = 10))]
    notify: Vec<Notify>,
    /// Whether it works.
    #[serde(default = "yes")]
    enabled: bool,
}

fn one() -> u32 {
    1
}

fn quarter() -> u32 {
    900
}

fn cooldown() -> u32 {
    COOLDOWN_SECONDS
}

fn yes() -> bool {
    true
}

impl Example for RuleWrite {
    fn example() -> Self {
        Self {
            name: "Many refusals of one caller".to_owned(),
            kind: RuleKind::Threshold,
            filter: EntryFilter {
                action: Some("gateway.request.denied".to_owned()),
                ..EntryFilter::default()
            },
            group_by: vec![GroupBy::ActorId],
            threshold: 50,
            window_seconds: 600,
            cooldown_seconds: COOLDOWN_SECONDS,
            severity: Severity::Warn,
            notify: vec![Notify::Role("admin".to_owned())],
            enabled: true,
        }
    }
}

impl Example for AlertRule {
    fn example() -> Self {
        RuleWrite::example().onto(false)
    }
}

impl RuleWrite {
    fn of(rule: &AlertRule) -> Self {
        let rule = rule.clone();
        Self {
            name: rule.name,
            kind: rule.kind,
            filter: rule.filter,
            group_by: rule.group_by,
            threshold: rule.threshold,
            window_seconds: rule.window_seconds,
            cooldown_seconds: rule.cooldown_seconds,
            severity: rule.severity,
            notify: rule.notify,
            enabled: rule.enabled,
        }
    }

    fn onto(self, built_in: bool) -> AlertRule {
        AlertRule {
            name: self.name.trim().to_owned(),
            kind: self.kind,
            filter: self.filter,
            group_by: self.group_by,
            threshold: self.threshold,
            window_seconds: self.window_seconds,
            cooldown_seconds: self.cooldown_seconds,
            severity: self.severity,
            notify: self.notify,
            enabled: self.enabled,
            built_in,
        }
    }

    /// Faults that no schema states.
    fn check(&self) -> Result<()> {
        let mut faults = Vec::new();
        if self.name.trim().is_empty() || coder_core::text::has_refused_characters(&self.name, false) {
            faults.push(Fault::new("/name", "invalid_value", "A name has visible characters and one line."));
        }
        let sorts = |kind| self.kind == kind;
        if sorts(RuleKind::Rare) && !self.group_by.is_empty() {
            let message = "A `rare` rule always goes by actor and action.";
            faults.push(Fault::new("/groupBy", "invalid_value", message));
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults).into()) }
    }
}

fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

fn taken() -> Problem {
    Problem::new(Code::AlreadyExists, "There is an alert rule of this name already.")
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct RuleFilters {
    /// Only those that work, or that do not.
    enabled: Option<bool>,
}

impl Filters for RuleFilters {
    const SORT: &'static [&'static str] = &["name"];

    fn filter(&self) -> Option<Filter> {
        self.enabled.map(|enabled| Filter::eq("enabled", enabled))
    }
}

async fn list(
    State(logging): State<Logging>,
    who: Allowed<AlertRuleRead>,
    list: List<RuleFilters>,
) -> Result<Json<PageOf<Record<AlertRule>>>> {
    let trail = Trail::Organization(who.organization_id);
    let mut rules = logging.rules_of(trail).await?;
    rules.retain(|rule| list.filters.enabled.is_none_or(|enabled| rule.data.enabled == enabled));
    list.slice(&rules, &trail.name()).map(Json)
}

async fn get(
    State(logging): State<Logging>,
    who: Allowed<AlertRuleRead>,
    Path(id): Path<RuleId>,
) -> Result<Json<Record<AlertRule>>> {
    let (rule, _) = logging.rule(Trail::Organization(who.organization_id), id).await?;
    Ok(Json(rule))
}

fn event(rule: &Record<AlertRule>) -> Value {
    json!({"ruleId": rule.meta.id, "name": rule.data.name, "enabled": rule.data.enabled})
}

async fn create(
    State(logging): State<Logging>,
    who: Allowed<AlertRuleCreate>,
    Body(write): Body<RuleWrite>,
) -> Result<Created<Record<AlertRule>>> {
    write.check()?;
    let trail = Trail::Organization(who.organization_id);
    let rules = logging.rules_of(trail).await?;
    if rules.len() >= MAX_RULES {
        let detail = format!("An organization has at most {MAX_RULES} alert rules; delete some first.");
        return Err(Failure::problem(Code::LimitReached, detail));
    }
    refuse_shipped_name(&rules, &write.name, None)?;
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    let id: RuleId = logging.runtime.ambient.new_id();
    unit.claim(claims::RULE_NAME, &[&folded(&write.name)], &id.to_string(), taken())?;
    let record = unit.create(id, write.onto(false))?;
    unit.emit("alert-rule.created", &id.to_string(), event(&record));
    let location = format!("/api/logging/alert-rules/{id}");
    unit.commit(Created { location, body: record }).await
}

/// The names of shipped rules are in no claim.
fn refuse_shipped_name(rules: &[Record<AlertRule>], name: &str, own: Option<RuleId>) -> Result<()> {
    let own = own.map(|id| id.to_string());
    let same = |rule: &&Record<AlertRule>| {
        rule.data.built_in && folded(&rule.data.name) == folded(name) && Some(&rule.meta.id) != own.as_ref()
    };
    if rules.iter().any(|rule| same(&rule)) { Err(taken().into()) } else { Ok(()) }
}

async fn update(
    State(logging): State<Logging>,
    who: Allowed<AlertRuleUpdate>,
    Path(id): Path<RuleId>,
    if_match: IfMatch,
    patch: Patch<RuleWrite>,
) -> Result<Json<Record<AlertRule>>> {
    let trail = Trail::Organization(who.organization_id);
    let (before, stored) = logging.rule(trail, id).await?;
    if_match.check(&before.meta)?;
    let write = patch.apply(&RuleWrite::of(&before.data))?;
    write.check()?;
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    if folded(&write.name) != folded(&before.data.name) {
        if before.data.built_in {
            return Err(Problem::fault("/name", "immutable", "A rule of the platform keeps its name.").into());
        }
        refuse_shipped_name(&logging.rules_of(trail).await?, &write.name, Some(id))?;
        unit.release(claims::RULE_NAME, &[&folded(&before.data.name)]);
        unit.claim(claims::RULE_NAME, &[&folded(&write.name)], &id.to_string(), taken())?;
    }
    let rule = write.onto(before.data.built_in);
    let (record, changes) = if stored {
        unit.replace(&before, rule)?
    } else {
        let changes = coder_database::audit::changes(&json!(before.data), &json!(rule), &[]);
        (unit.create(id, rule)?, changes)
    };
    unit.emit_changes("alert-rule.updated", &id.to_string(), event(&record), &changes);
    unit.commit(Json(record)).await
}

async fn delete(
    State(logging): State<Logging>,
    who: Allowed<AlertRuleDelete>,
    Path(id): Path<RuleId>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let trail = Trail::Organization(who.organization_id);
    let (before, _) = logging.rule(trail, id).await?;
    if before.data.built_in {
        let detail = "A rule of the platform cannot be deleted; disable it with `\"enabled\": false`.";
        return Err(Failure::problem(Code::Immutable, detail));
    }
    if_match.check(&before.meta)?;
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    unit.release(claims::RULE_NAME, &[&folded(&before.data.name)]);
    unit.delete(&before)?;
    unit.emit("alert-rule.deleted", &id.to_string(), event(&before));
    unit.commit(NoContent).await
}

/// What a rule would raise.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Trial {
    /// Whether it would raise anything.
    raises: bool,
    /// What it found, at most 50.
    findings: Vec<Found>,
}

/// A finding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Found {
    /// What was counted apart.
    group_key: String,
    /// Entries.
    count: u64,
    /// The first of them.
    first_entry_id: String,
    /// The last of them.
    last_entry_id: String,
}

impl Example for Trial {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE.to_string();
        let found = Found { group_key: id.clone(), count: 51, first_entry_id: id.clone(), last_entry_id: id };
        Self { raises: true, findings: vec![found] }
    }
}

async fn test(
    State(logging): State<Logging>,
    who: Allowed<AlertRuleUpdate>,
    Path(id): Path<RuleId>,
) -> Result<Json<Trial>> {
    let trail = Trail::Organization(who.organization_id);
    let (rule, _) = logging.rule(trail, id).await?;
    let now = logging.now();
    let window = SignedDuration::from_secs(rule.data.window_seconds.into());
    let span = Span {
        from: now.saturating_sub(window).unwrap_or(now),
        to: now.saturating_add(SignedDuration::from_mins(5)).unwrap_or(now),
    };
    let findings = in_time(async {
        let search = Search::new(trail, span, &EntryFilter::default()).oldest_first();
        let Some(first) = logging.first(&search, 1).await?.into_iter().next() else { return Ok(Vec::new()) };
        let looked = first.body["seq"].as_u64().unwrap_or(1) - 1;
        let last = logging.last_seq(trail).await?;
        logging.findings(trail, &rule.data, looked, last).await
    })
    .await?;
    let shown = |Finding { group_key, count, first_entry_id, last_entry_id }| Found {
        group_key,
        count,
        first_entry_id,
        last_entry_id,
    };
    let raises = !findings.is_empty();
    Ok(Json(Trial { raises, findings: findings.into_iter().take(50).map(shown).collect() }))
}
