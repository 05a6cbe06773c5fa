//! The list of what was revoked, for the other processes of the platform.

use coder_core::{OrganizationId, Result, SessionId, Timestamp, UserId};
use coder_handler::Routes;
use coder_middleware::{Example, FromService, Json, Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Auth;
use crate::service::revocations::Revocation;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.get("/revocations", "list_revocations", "Credentials revoked since a cursor", list)
}

/// Where to go on.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Since {
    /// The cursor of the page before; without one all that still matters is listed.
    #[schemars(length(max = 4096))]
    since: Option<String>,
}

/// A credential that does not hold any more.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevocationView {
    /// The session.
    session_id: Option<SessionId>,
    /// The person; with an organization, only what they have there.
    user_id: Option<UserId>,
    /// The organization.
    organization_id: Option<OrganizationId>,
    /// The API key.
    key_id: Option<String>,
    /// What was issued earlier does not hold.
    #[schemars(with = "String", extend("format" = "date-time"))]
    before: Timestamp,
    /// When the entry can be forgotten.
    #[schemars(with = "String", extend("format" = "date-time"))]
    until: Timestamp,
}

/// A page of the list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevocationList {
    /// Oldest first; some may come twice.
    items: Vec<RevocationView>,
    /// Goes into `since` of the next request.
    cursor: String,
    /// Whether there is more already.
    more: bool,
}

impl From<Revocation> for RevocationView {
    fn from(entry: Revocation) -> Self {
        let Revocation { session_id, user_id, revoked_in, key_id, before, until } = entry;
        Self { session_id, user_id, organization_id: revoked_in, key_id, before, until }
    }
}

impl Example for RevocationList {
    fn example() -> Self {
        let item = RevocationView {
            session_id: Some(coder_core::id::EXAMPLE.into()),
            user_id: None,
            organization_id: None,
            key_id: None,
            before: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        };
        Self { items: vec![item], cursor: "b3BhcXVl".into(), more: false }
    }
}

async fn list(
    State(auth): State<Auth>,
    _: FromService,
    Query(query): Query<Since>,
) -> Result<Json<RevocationList>> {
    let page = auth.revocations_since(query.since.as_deref()).await?;
    let items = page.items.into_iter().map(RevocationView::from).collect();
    Ok(Json(RevocationList { items, cursor: page.cursor, more: page.more }))
}
