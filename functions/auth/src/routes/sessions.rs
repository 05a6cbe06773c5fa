//! The caller's own sessions.

use coder_core::{Credential, Result, SessionId, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Authentication, Example, Filters, Json, List, NoContent, PageOf, Path, SignedIn, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Auth;
use crate::model::{ClientKind, Session};

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .get("/sessions", "list_sessions", "List your live sessions", list)
        .delete("/sessions/{sessionId}", "revoke_session", "End one of your sessions", revoke)
        .post(
            "/sessions/revoke-others",
            "revoke_other_sessions",
            "End all your sessions but this one",
            revoke_others,
        )
}

/// A session, as its person sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView {
    /// The session.
    pub(crate) id: String,
    /// Whether it is the one that asks.
    pub(crate) current: bool,
    /// What kind of program signed in.
    pub(crate) client_kind: ClientKind,
    /// What the person calls the device.
    pub(crate) device_name: Option<String>,
    /// What the client said it is.
    pub(crate) user_agent: Option<String>,
    /// The address at sign-in.
    pub(crate) ip_address: Option<String>,
    /// How the person proved who they are.
    pub(crate) amr: Vec<String>,
    /// When they did so last.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) auth_time: Timestamp,
    /// When the session began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) created_at: Timestamp,
    /// When it was used last, to the minute.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) last_used_at: Timestamp,
    /// When it ends if it is not used before.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) expires_at: Timestamp,
}

impl SessionView {
    /// A stored session as the session `current` sees it.
    pub(crate) fn new(record: &Record<Session>, current: Option<SessionId>) -> Self {
        let session = &record.data;
        Self {
            id: record.meta.id.clone(),
            current: current.is_some_and(|id| Session::document_id(id) == record.meta.id),
            client_kind: session.client_kind,
            device_name: session.device_name.clone(),
            user_agent: session.user_agent.clone(),
            ip_address: session.ip_address.clone(),
            amr: session.amr.clone(),
            auth_time: session.auth_time,
            created_at: record.meta.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.ends_at(),
        }
    }
}

impl Example for SessionView {
    fn example() -> Self {
        let time = Timestamp::UNIX_EPOCH;
        Self {
            id: coder_core::id::EXAMPLE.to_string(),
            current: true,
            client_kind: ClientKind::Ide,
            device_name: Some("Ada's laptop".into()),
            user_agent: Some("Coder/1.0".into()),
            ip_address: Some("192.0.2.7".into()),
            amr: vec!["pwd".into(), "otp".into()],
            auth_time: time,
            created_at: time,
            last_used_at: time,
            expires_at: time,
        }
    }
}

/// How many were ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionsEnded {
    /// Sessions that lived until now.
    revoked: usize,
}

impl Example for SessionsEnded {
    fn example() -> Self {
        Self { revoked: 2 }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NoFilters {}

impl Filters for NoFilters {
    const SORT: &'static [&'static str] = &["-lastUsedAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

/// The session of the credential; none for an API key.
pub(crate) fn session_of(who: &SignedIn) -> Option<SessionId> {
    match who.context().authentication() {
        Authentication::Verified(caller) => match &caller.credential {
            Credential::Session { session_id, .. } => Some(*session_id),
            _ => None,
        },
        _ => None,
    }
}

async fn list(
    State(auth): State<Auth>,
    who: SignedIn,
    list: List<NoFilters>,
) -> Result<Json<PageOf<SessionView>>> {
    let mut live = auth.live_sessions(who.user_id).await?;
    let key = |session: &Record<Session>| (session.data.last_used_at, session.meta.id.clone());
    live.sort_by_key(key);
    if list.order.1 == coder_database::Direction::Descending {
        live.reverse();
    }
    let current = session_of(&who);
    let views: Vec<_> = live.iter().map(|session| SessionView::new(session, current)).collect();
    list.slice(&views, &who.user_id.to_string()).map(Json)
}

async fn revoke(
    State(auth): State<Auth>,
    who: SignedIn,
    Path(session_id): Path<SessionId>,
) -> Result<NoContent> {
    auth.revoke_own_session(&who, session_id).await
}

async fn revoke_others(State(auth): State<Auth>, who: SignedIn) -> Result<Json<SessionsEnded>> {
    let revoked = auth.revoke_other_sessions(&who, session_of(&who)).await?;
    Ok(Json(SessionsEnded { revoked }))
}
