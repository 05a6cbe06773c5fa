//! New tokens for a refresh token.

use coder_core::{Code, Result};
use coder_handler::Routes;
use coder_middleware::{Access as _, Anyone, Body, Example, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Secret;
use crate::Auth;
use crate::service::answer::{Delivery, TokenAnswer, cookie_token, demand_origin};
use crate::service::tokens::session_ended;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post("/refresh", "refresh_session", "Get new tokens for a refresh token, once", refresh)
        .described(|operation| operation.guarded = true)
        .problems([Code::Unauthenticated, Code::TokenReused, Code::Forbidden])
}

/// The refresh token; without one it is taken from the cookie.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Refresh {
    /// The newest refresh token of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Secret>,
}

impl Example for Refresh {
    fn example() -> Self {
        Self { refresh_token: Some("rt_AZkMOn46fBGdL1tqfI2eD…".into()) }
    }
}

async fn refresh(State(auth): State<Auth>, who: Anyone, Body(input): Body<Refresh>) -> Result<TokenAnswer> {
    if let Some(token) = input.refresh_token {
        return auth.refresh(&who, token.expose(), Delivery::Body).await;
    }
    let token = cookie_token(who.context()).ok_or_else(session_ended)?;
    demand_origin(who.context())?;
    auth.refresh(&who, &token, Delivery::Cookie).await
}
