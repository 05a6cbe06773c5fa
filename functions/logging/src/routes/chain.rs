//! The chain: verifying it, and its signed checkpoints.

use coder_core::{Code, Failure, Problem, Result, StoredAnswer};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_jobs::enqueue;
use coder_middleware::answer::{describe_json, render_json};
use coder_middleware::{
    Access as _, Allowed, Answer, Body, Created, Example, Filters, Json, List, OperationDescription, PageOf,
    Path, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{ChainCreate, ChainRead, ChainVerify};
use crate::model::{CONTAINER, Checkpoint, CheckpointId, Trail, Verification, VerificationId};
use crate::service::Logging;
use crate::service::checkpoints::add_checkpoint;
use crate::service::evidence::{WINDOW, verified};

/// How long a verification is kept, in seconds.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .post("/verify", "verify_entries", "Verify a range of the chain", verify)
        .get("/verifications/{verificationId}", "get_verification", "Read a verification", get_verification)
        .get("/checkpoints", "list_checkpoints", "List signed checkpoints", list_checkpoints)
        .post("/checkpoints", "create_checkpoint", "Make a checkpoint now", create_checkpoint)
        .problems([Code::InvalidState, Code::UpstreamFailed])
        .get(
            "/checkpoints/{checkpointId}",
            "get_checkpoint",
            "Read a checkpoint with its signature",
            get_checkpoint,
        )
}

/// Which entries.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VerifyRange {
    /// The first entry.
    #[serde(default = "first")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_992_u64))]
    from_seq: u64,
    /// The last entry; that of the chain without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_992_u64))]
    to_seq: Option<u64>,
}

fn first() -> u64 {
    1
}

impl Example for VerifyRange {
    fn example() -> Self {
        Self { from_seq: 1, to_seq: Some(1000) }
    }
}

/// `200` with what was found, or `202` where a job goes through a long range.
#[derive(Debug)]
struct Verified(Record<Verification>);

impl Answer for Verified {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<Record<Verification>>(operation, 200, "Verified.", &["ETag"]);
        describe_json::<Record<Verification>>(operation, 202, "Accepted; a job verifies.", &["Location"]);
    }

    fn render(&self) -> Result<StoredAnswer> {
        let place = format!("/api/logging/verifications/{}", self.0.meta.id);
        match self.0.data.valid {
            Some(_) => render_json(200, &self.0, Vec::new()),
            None => render_json(202, &self.0, vec![("location".into(), place)]),
        }
    }
}

async fn verify(
    State(logging): State<Logging>,
    who: Allowed<ChainVerify>,
    Body(range): Body<VerifyRange>,
) -> Result<Verified> {
    let trail = Trail::Organization(who.organization_id);
    let last = logging.last_due(trail).await?;
    let (from, to) = (range.from_seq, range.to_seq.unwrap_or(last).min(last));
    if range.to_seq.is_some_and(|to| to < from) {
        return Err(Problem::fault("/toSeq", "too_small", "`toSeq` comes before `fromSeq`.").into());
    }
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    let id: VerificationId = logging.runtime.ambient.new_id();
    let at_once = to.saturating_sub(from) < WINDOW;
    let verification = if at_once {
        let verdict = logging.verify(trail, from, to).await?;
        let (verification, name, data) = verified(from, to, verdict);
        unit.emit(name, &trail.name(), data);
        verification
    } else {
        let input = json!({"trail": trail.name(), "id": id});
        enqueue(&mut unit, "verify", input, None)?;
        Verification::queued(from, to)
    };
    let mut record = unit.record(id, verification);
    record.expires_at = Some(logging.runtime.ambient.after(KEPT_SECONDS));
    unit.insert(&record)?;
    unit.commit(Verified(record)).await
}

async fn get_verification(
    State(logging): State<Logging>,
    who: Allowed<ChainVerify>,
    Path(id): Path<VerificationId>,
) -> Result<Json<Record<Verification>>> {
    let partition = Trail::Organization(who.organization_id).config();
    logging.verifications.get(&partition, &id.to_string()).await.map(Json)
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CheckpointFilters {
    /// Only the one that covers this entry.
    #[schemars(range(min = 1, max = 9_007_199_254_740_992_u64))]
    seq: Option<u64>,
}

impl Filters for CheckpointFilters {
    const SORT: &'static [&'static str] = &["-toSeq"];

    fn filter(&self) -> Option<Filter> {
        let seq = self.seq?;
        Some(Filter::Le("fromSeq".into(), seq.into()).and(Filter::Ge("toSeq".into(), seq.into())))
    }
}

async fn list_checkpoints(
    State(logging): State<Logging>,
    who: Allowed<ChainRead>,
    list: List<CheckpointFilters>,
) -> Result<Json<PageOf<Record<Checkpoint>>>> {
    let partition = Trail::Organization(who.organization_id).config();
    list.page(&logging.checkpoints, &partition, None).await.map(Json)
}

async fn get_checkpoint(
    State(logging): State<Logging>,
    who: Allowed<ChainRead>,
    Path(id): Path<CheckpointId>,
) -> Result<Json<Record<Checkpoint>>> {
    let partition = Trail::Organization(who.organization_id).config();
    logging.checkpoints.get(&partition, &id.to_string()).await.map(Json)
}

async fn create_checkpoint(
    State(logging): State<Logging>,
    who: Allowed<ChainCreate>,
) -> Result<Created<Record<Checkpoint>>> {
    let trail = Trail::Organization(who.organization_id);
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    let Some((id, checkpoint)) = logging.next_checkpoint(trail).await? else {
        let detail = "Every entry is covered by a checkpoint already.";
        return Err(Failure::problem(Code::InvalidState, detail));
    };
    let record = add_checkpoint(&mut unit, id, checkpoint)?;
    let location = format!("/api/logging/checkpoints/{}", record.meta.id);
    let made = unit.commit(Created { location, body: record }).await;
    // Another one was faster: what it made is not this caller's, so the request starts again.
    made.map_err(|failure| if failure.code() == Some(Code::AlreadyExists) { Failure::Stale } else { failure })
}
