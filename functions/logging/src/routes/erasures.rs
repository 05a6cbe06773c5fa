//! Erasing what the log says of a person.

use coder_core::{Code, Fault, Problem, Result, UserId};
use coder_database::Record;
use coder_handler::Routes;
use coder_jobs::enqueue;
use coder_middleware::{Access as _, Allowed, Body, Example, Json, Path, Started, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::EntryErase;
use crate::model::{CONTAINER, Erasure, ErasureId, Trail, WorkStatus};
use crate::service::Logging;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .post("/erasures", "create_audit_erasure", "Erase what entries say of a person", create)
        .problems([Code::ReauthenticationRequired, Code::InvalidState])
        .get("/erasures/{erasureId}", "get_audit_erasure", "See how far an erasure is", get)
}

/// Whose payloads go, and why.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ErasureWrite {
    /// Who.
    user_id: UserId,
    /// Why; it stays with every entry.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

impl Example for ErasureWrite {
    fn example() -> Self {
        let Erasure { user_id, reason, .. } = Erasure::example();
        Self { user_id, reason }
    }
}

async fn create(
    State(logging): State<Logging>,
    who: Allowed<EntryErase>,
    Body(write): Body<ErasureWrite>,
) -> Result<Started<Record<Erasure>>> {
    who.demand_fresh()?;
    if write.reason.trim().is_empty() {
        return Err(Problem::invalid(vec![Fault::new("/reason", "too_short", "Say why.")]).into());
    }
    let trail = Trail::Organization(who.organization_id);
    logging.refuse_under_hold(trail).await?;
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    let id: ErasureId = logging.runtime.ambient.new_id();
    let ErasureWrite { user_id, reason } = write;
    let record = unit.create(id, Erasure { user_id, reason, status: WorkStatus::Queued, entries: 0 })?;
    let input = json!({"trail": trail.name(), "id": id, "userId": user_id});
    enqueue(&mut unit, "erase", input, None)?;
    let (action, subject) = ("logging.erasure.requested", Some(user_id.to_string()));
    let what = json!({"erasureId": id});
    logging.note_access(who.context(), trail, action, "Erasure requested", subject, what).await?;
    let location = format!("/api/logging/erasures/{}", record.meta.id);
    unit.commit(Started { location, body: record }).await
}

async fn get(
    State(logging): State<Logging>,
    who: Allowed<EntryErase>,
    Path(id): Path<ErasureId>,
) -> Result<Json<Record<Erasure>>> {
    let partition = Trail::Organization(who.organization_id).config();
    logging.erasures.get(&partition, &id.to_string()).await.map(Json)
}
