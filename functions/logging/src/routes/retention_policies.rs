//! Retention policies.

use coder_core::{Code, Failure, Problem, Result, Timestamp};
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

use crate::catalogue::{RetentionCreate, RetentionDelete, RetentionRead, RetentionUpdate};
use crate::chain::canonical;
use crate::model::{CONTAINER, PolicyId, PolicyMatch, RetentionPolicy, Trail, claims};
use crate::service::Logging;
use crate::service::policies::{DEFAULT_DAYS, MAX_POLICIES, NOTICE_DAYS};

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    let (all, one) = ("/retention-policies", "/retention-policies/{policyId}");
    routes
        .get(all, "list_retention_policies", "List retention policies", list)
        .post(all, "create_retention_policy", "Create a retention policy", create)
        .problems([Code::AlreadyExists, Code::LimitReached])
        .get(one, "get_retention_policy", "Read a retention policy", get)
        .patch(one, "update_retention_policy", "Change a retention policy", update)
        .problems([Code::AlreadyExists, Code::Immutable, Code::InvalidState])
        .delete(one, "delete_retention_policy", "Delete a retention policy, in seven days", delete)
        .problems([Code::Immutable])
}

/// What a client writes of a policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyWrite {
    /// Which entries; unique.
    #[serde(rename = "match", default)]
    matches: PolicyMatch,
    /// How long, from the act on.
    #[schemars(range(min = 30, max = 3650))]
    retention_days: u32,
    /// Whether a removed month is archived.
    #[serde(default)]
    archive: bool,
    /// Whether the time can only be made longer, and the policy not deleted.
    #[serde(default)]
    immutable: bool,
}

impl Example for PolicyWrite {
    fn example() -> Self {
        Self::of(&RetentionPolicy::example())
    }
}

impl PolicyWrite {
    fn of(policy: &RetentionPolicy) -> Self {
        let RetentionPolicy { matches, retention_days, archive, immutable, .. } = policy.clone();
        Self { matches, retention_days, archive, immutable }
    }

    /// The policy: a time that is shorter than before takes effect in a week.
    fn onto(self, former_days: u32, now: Timestamp) -> RetentionPolicy {
        let later = now.saturating_add(SignedDuration::from_hours(24 * NOTICE_DAYS)).unwrap_or(now);
        let shorter = self.retention_days < former_days;
        RetentionPolicy {
            matches: self.matches,
            retention_days: self.retention_days,
            archive: self.archive,
            immutable: self.immutable,
            former_days: shorter.then_some(former_days),
            changes_at: shorter.then_some(later),
            ends_at: None,
            built_in: false,
        }
    }
}

/// What is unique of a policy.
fn key(matches: &PolicyMatch) -> String {
    String::from_utf8_lossy(&canonical(&json!(matches))).into_owned()
}

fn taken() -> Problem {
    Problem::new(Code::AlreadyExists, "There is a policy for these entries already; change that one.")
}

/// The list has no filters: it is short.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct NoFilters {}

impl Filters for NoFilters {
    const SORT: &'static [&'static str] = &["createdAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

async fn list(
    State(logging): State<Logging>,
    who: Allowed<RetentionRead>,
    list: List<NoFilters>,
) -> Result<Json<PageOf<Record<RetentionPolicy>>>> {
    let trail = Trail::Organization(who.organization_id);
    let policies = logging.policies_of(trail).await?;
    list.slice(&policies, &trail.name()).map(Json)
}

async fn get(
    State(logging): State<Logging>,
    who: Allowed<RetentionRead>,
    Path(id): Path<PolicyId>,
) -> Result<Json<Record<RetentionPolicy>>> {
    logging.policy(Trail::Organization(who.organization_id), id).await.map(Json)
}

async fn create(
    State(logging): State<Logging>,
    who: Allowed<RetentionCreate>,
    Body(write): Body<PolicyWrite>,
) -> Result<Created<Record<RetentionPolicy>>> {
    let trail = Trail::Organization(who.organization_id);
    let present = logging.policies.all(&trail.config(), None, 1000).await?.len();
    if present >= MAX_POLICIES {
        let detail = format!("An organization has at most {MAX_POLICIES} policies; delete some first.");
        return Err(Failure::problem(Code::LimitReached, detail));
    }
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    let id: PolicyId = logging.runtime.ambient.new_id();
    unit.claim(claims::POLICY_MATCH, &[&key(&write.matches)], &id.to_string(), taken())?;
    // Until now the default held.
    let record = unit.create(id, write.onto(DEFAULT_DAYS, logging.now()))?;
    unit.emit("retention-policy.created", &id.to_string(), event(&record));
    let location = format!("/api/logging/retention-policies/{id}");
    unit.commit(Created { location, body: record }).await
}

fn event(policy: &Record<RetentionPolicy>) -> Value {
    json!({"policyId": policy.meta.id, "match": policy.data.matches, "retentionDays": policy.data.retention_days})
}

fn refuse_built_in(policy: &Record<RetentionPolicy>) -> Result<()> {
    if policy.data.built_in {
        let detail = "What the platform ships stays; a longer policy of your own holds beside it.";
        return Err(Failure::problem(Code::Immutable, detail));
    }
    Ok(())
}

async fn update(
    State(logging): State<Logging>,
    who: Allowed<RetentionUpdate>,
    Path(id): Path<PolicyId>,
    if_match: IfMatch,
    patch: Patch<PolicyWrite>,
) -> Result<Json<Record<RetentionPolicy>>> {
    let trail = Trail::Organization(who.organization_id);
    let before = logging.policy(trail, id).await?;
    refuse_built_in(&before)?;
    if_match.check(&before.meta)?;
    let write = patch.apply(&PolicyWrite::of(&before.data))?;
    if before.data.ends_at.is_some() {
        return Err(Failure::problem(
            Code::InvalidState,
            "The policy was deleted and ends soon; make another.",
        ));
    }
    let held = before.data.days_at(logging.now()).unwrap_or(DEFAULT_DAYS);
    let weaker = write.retention_days < held || !write.immutable || write.matches != before.data.matches;
    if before.data.immutable && weaker {
        let detail = "An immutable policy can only be made longer.";
        return Err(Failure::problem(Code::Immutable, detail));
    }
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    if write.matches != before.data.matches {
        unit.release(claims::POLICY_MATCH, &[&key(&before.data.matches)]);
        unit.claim(claims::POLICY_MATCH, &[&key(&write.matches)], &id.to_string(), taken())?;
    }
    let (record, changes) = unit.replace(&before, write.onto(held, logging.now()))?;
    unit.emit_changes("retention-policy.updated", &id.to_string(), event(&record), &changes);
    unit.commit(Json(record)).await
}

async fn delete(
    State(logging): State<Logging>,
    who: Allowed<RetentionDelete>,
    Path(id): Path<PolicyId>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let trail = Trail::Organization(who.organization_id);
    let before = logging.policy(trail, id).await?;
    refuse_built_in(&before)?;
    if_match.check(&before.meta)?;
    if before.data.immutable {
        return Err(Failure::problem(Code::Immutable, "An immutable policy cannot be deleted."));
    }
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    if before.data.ends_at.is_none() {
        let now = logging.now();
        let later = now.saturating_add(SignedDuration::from_hours(24 * NOTICE_DAYS)).unwrap_or(now);
        unit.release(claims::POLICY_MATCH, &[&key(&before.data.matches)]);
        let (record, _) =
            unit.replace(&before, RetentionPolicy { ends_at: Some(later), ..before.data.clone() })?;
        unit.emit("retention-policy.deleted", &id.to_string(), event(&record));
    }
    unit.commit(NoContent).await
}
