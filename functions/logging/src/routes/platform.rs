//! What operators of the platform read: the acts outside any organization.

use coder_core::{Code, Result};
use coder_database::Record;
use coder_handler::Routes;
use coder_middleware::{Access as _, Json, Operator, PageOf, Query, State};
use serde_json::json;

use super::entries::EntryQuery;
use crate::model::{Entry, Trail};
use crate::service::Logging;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .get("/platform/entries", "list_platform_entries", "Find entries outside any organization", list)
        .problems([Code::NarrowTheRange, Code::ValidationFailed])
}

async fn list(
    State(logging): State<Logging>,
    who: Operator,
    Query(query): Query<EntryQuery>,
) -> Result<Json<PageOf<Record<Entry>>>> {
    let page = query.page(&logging, who.context(), Trail::Platform).await?;
    let what = json!({"filter": query.filter(), "from": query.from, "to": query.to});
    let (action, message) = ("logging.entry.listed", "Entries listed");
    logging.note_access(who.context(), Trail::Platform, action, message, None, what).await?;
    Ok(Json(page))
}
