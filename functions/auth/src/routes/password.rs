//! Setting a password.

use coder_core::{Code, Result};
use coder_handler::Routes;
use coder_middleware::{Accepted, Anyone, Body, Example, InSession, NoContent, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{EmailInput, Secret};
use crate::Auth;
use crate::service::answer::LinkSent;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post(
            "/password/change",
            "change_password",
            "Change your password and end your other sessions",
            change,
        )
        .problems([Code::InvalidCredentials])
        .post(
            "/password/forgot",
            "request_password_reset",
            "Have a link mailed that sets a new password",
            forgot,
        )
        .described(|operation| operation.guarded = true)
        .post("/password/reset", "reset_password", "Set a new password with the token of a link", reset)
        .described(|operation| operation.guarded = true)
        .problems([Code::LinkExpired])
}

/// A new password, with the present one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangePassword {
    /// The present password.
    current_password: Secret,
    /// The new one; none of the last five.
    new_password: Secret,
}

impl Example for ChangePassword {
    fn example() -> Self {
        Self {
            current_password: "correct horse battery staple".into(),
            new_password: "a wholly different long sentence".into(),
        }
    }
}

/// A new password, with the token of a link.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResetPassword {
    /// What follows `#token=` in the link.
    token: Secret,
    /// The new password; none of the last five.
    new_password: Secret,
}

impl Example for ResetPassword {
    fn example() -> Self {
        Self {
            token: "AZkMOn46fBGdL1tqfI2eDw…".into(),
            new_password: "a wholly different long sentence".into(),
        }
    }
}

async fn change(
    State(auth): State<Auth>,
    who: InSession,
    Body(input): Body<ChangePassword>,
) -> Result<NoContent> {
    auth.change_password(&who, &input.current_password.guarded(), &input.new_password.guarded()).await
}

async fn forgot(
    State(auth): State<Auth>,
    who: Anyone,
    Body(input): Body<EmailInput>,
) -> Result<Accepted<LinkSent>> {
    auth.forgot_password(&who, &input.address()?).await?;
    Ok(Accepted(LinkSent::NEW))
}

async fn reset(State(auth): State<Auth>, who: Anyone, Body(input): Body<ResetPassword>) -> Result<NoContent> {
    auth.reset_password(&who, input.token.expose(), &input.new_password.guarded()).await
}
