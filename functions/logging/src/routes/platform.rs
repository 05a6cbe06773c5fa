//! What operators of the platform work with: the acts outside any organization, and the alerts that they raise.

use coder_core::{Code, Result};
use coder_database::Record;
use coder_handler::Routes;
use coder_middleware::{Access as _, Json, List, Operator, PageOf, Path, Query, State};
use serde_json::json;

use super::alerts::{AlertFilters, turn};
use super::entries::EntryQuery;
use crate::model::{Alert, AlertId, AlertState, Entry, Trail};
use crate::service::Logging;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    let alert = "/platform/alerts/{alertId}";
    routes
        .get("/platform/entries", "list_platform_entries", "Find entries outside any organization", list)
        .problems([Code::NarrowTheRange, Code::ValidationFailed])
        .get("/platform/alerts", "list_platform_alerts", "List alerts on such entries", list_alerts)
        .post(
            &format!("{alert}/acknowledge"),
            "acknowledge_platform_alert",
            "Say that one looks at such an alert",
            acknowledge,
        )
        .problems([Code::InvalidState])
        .post(
            &format!("{alert}/close"),
            "close_platform_alert",
            "Say that such an alert is dealt with",
            close,
        )
        .problems([Code::InvalidState])
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

async fn list_alerts(
    State(logging): State<Logging>,
    _: Operator,
    list: List<AlertFilters>,
) -> Result<Json<PageOf<Record<Alert>>>> {
    list.page(&logging.alerts, &Trail::Platform.config(), None).await.map(Json)
}

async fn acknowledge(
    State(logging): State<Logging>,
    who: Operator,
    Path(id): Path<AlertId>,
) -> Result<Json<Record<Alert>>> {
    turn(&logging, &who, Trail::Platform, id, AlertState::Acknowledged).await
}

async fn close(
    State(logging): State<Logging>,
    who: Operator,
    Path(id): Path<AlertId>,
) -> Result<Json<Record<Alert>>> {
    turn(&logging, &who, Trail::Platform, id, AlertState::Closed).await
}
