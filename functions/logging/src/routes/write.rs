//! What callers write of an entry, and how it becomes a draft.

use coder_cache::Limit;
use coder_core::problem::RateLimit;
use coder_core::{Code, Fault, Problem, Result, Timestamp};
use coder_middleware::Example;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chain::canonical;
use crate::draft::{Draft, MAX_MESSAGE, MAX_METADATA_BYTES};
use crate::model::{Category, EntryActor, EntryChange, Outcome, Severity, Trail};
use crate::redact;
use crate::service::Logging;
use crate::service::filter::MAX_LATE_DAYS;

/// Entries a second, and at once.
const LIMIT: Limit = Limit { per_minute: 60_000, burst: 2000 };

/// A custom entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryWrite {
    /// What was done: words joined by dots, such as `deploy.release.approved`.
    #[schemars(length(max = 120), regex(pattern = "^[a-z0-9]+([._-][a-z0-9]+)*$"))]
    pub(super) action: String,
    /// For people; at most 1,000 characters without the secrets in it.
    #[schemars(length(min = 1, max = 16_384))]
    pub(super) message: String,
    /// How much it matters.
    #[serde(default)]
    pub(super) severity: Severity,
    /// How it ended.
    #[serde(default)]
    pub(super) outcome: Outcome,
    /// When it was done; now without it, at most 35 days ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) time: Option<Timestamp>,
    /// What kind of resource it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub(super) resource_type: Option<String>,
    /// Which resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub(super) resource_id: Option<String>,
    /// The project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub(super) project_id: Option<String>,
    /// What changed.
    #[serde(default)]
    #[schemars(extend("maxItems" = 100))]
    pub(super) changes: Vec<EntryChange>,
    /// Particulars; at most 16 KiB.
    #[serde(default)]
    pub(super) metadata: Map<String, Value>,
    /// Your own id of the act: a repeat makes no second entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub(super) event_id: Option<String>,
    /// What ties entries of one cause together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub(super) correlation_id: Option<String>,
}

impl Example for EntryWrite {
    fn example() -> Self {
        Self {
            action: "deploy.release.approved".to_owned(),
            message: "Release 2.4 approved for production".to_owned(),
            severity: Severity::Info,
            outcome: Outcome::Success,
            time: None,
            resource_type: Some("release".to_owned()),
            resource_id: Some("2.4".to_owned()),
            project_id: None,
            changes: Vec::new(),
            metadata: Map::new(),
            event_id: None,
            correlation_id: None,
        }
    }
}

/// Who writes a custom entry.
pub(super) struct Author {
    pub(super) actor: EntryActor,
    pub(super) source: String,
}

impl EntryWrite {
    /// Faults that no schema states, below `pointer`.
    pub(super) fn faults(&self, pointer: &str, now: Timestamp) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(time) = self.time {
            faults.extend(time_fault(pointer, time, now));
        }
        let message = redact::without_secrets(&self.message);
        if message.chars().count() > MAX_MESSAGE {
            let message = format!("At most {MAX_MESSAGE} characters are accepted.");
            faults.push(Fault::new(format!("{pointer}/message"), "too_long", message));
        }
        if canonical(&self.metadata.clone().into()).len() > MAX_METADATA_BYTES {
            let message = format!("Metadata has at most {MAX_METADATA_BYTES} bytes.");
            faults.push(Fault::new(format!("{pointer}/metadata"), "too_long", message));
        }
        faults
    }

    /// The draft of a custom entry.
    pub(super) fn draft(self, author: &Author, event_id: String, now: Timestamp) -> Draft {
        Draft {
            time: self.time.unwrap_or(now),
            actor: author.actor.clone(),
            action: self.action,
            category: Category::Custom,
            severity: self.severity,
            outcome: self.outcome,
            resource_type: self.resource_type,
            resource_id: self.resource_id,
            project_id: self.project_id,
            source: author.source.clone(),
            event_id: self.event_id.unwrap_or(event_id),
            correlation_id: self.correlation_id,
            message: self.message,
            changes: self.changes,
            metadata: self.metadata,
        }
    }
}

/// The fault of a time that is too far from now.
fn time_fault(pointer: &str, time: Timestamp, now: Timestamp) -> Option<Fault> {
    let age = now.duration_since(time);
    let fits = age <= SignedDuration::from_hours(24 * MAX_LATE_DAYS) && age >= SignedDuration::from_mins(-5);
    let message = format!("The time is at most {MAX_LATE_DAYS} days ago and not to come.");
    (!fits).then(|| Fault::new(format!("{pointer}/time"), "out_of_range", message))
}

impl Logging {
    /// Takes entries from what an organization may write; `429` if that is used up.
    pub(super) async fn limit(&self, trail: Trail, entries: usize) -> Result<()> {
        let cost = u32::try_from(entries).unwrap_or(u32::MAX);
        let key = format!("audit-entries:{}", trail.name());
        let decision = self.runtime.limiter.take(&key, LIMIT, cost).await;
        if decision.allowed {
            return Ok(());
        }
        let seconds = decision.retry_after_seconds.max(1);
        let detail = format!("The organization writes more than 1,000 entries a second; wait {seconds} s.");
        let standing = RateLimit {
            limit: decision.limit,
            remaining: decision.remaining,
            reset_seconds: decision.reset_seconds,
        };
        let problem = Problem { rate_limit: Some(standing), ..Problem::new(Code::RateLimited, detail) };
        Err(problem.retry_after(seconds).into())
    }
}
