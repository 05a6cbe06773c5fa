//! Changing the address of an account.

use coder_core::{Code, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Accepted, Anyone, Body, Example, InSession, NoContent, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::TokenInput;
use crate::Auth;
use crate::email::EmailAddress;
use crate::service::answer::LinkSent;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post("/email/change", "request_email_change", "Have a link mailed to a new address", change)
        .post(
            "/email/confirm",
            "confirm_email_change",
            "Move to the new address with the token of its link",
            confirm,
        )
        .described(|operation| operation.guarded = true)
        .problems([Code::LinkExpired, Code::AlreadyExists])
}

/// A new address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeEmail {
    /// Where the link goes.
    #[schemars(length(min = 3, max = 254))]
    new_email: String,
}

impl Example for ChangeEmail {
    fn example() -> Self {
        Self { new_email: "ada.lovelace@example.com".into() }
    }
}

async fn change(
    State(auth): State<Auth>,
    who: InSession,
    Body(input): Body<ChangeEmail>,
) -> Result<Accepted<LinkSent>> {
    let new = EmailAddress::from_field(&input.new_email, "/newEmail")
        .map_err(|fault| Problem::invalid(vec![fault]))?;
    auth.request_email_change(&who, &new).await?;
    Ok(Accepted(LinkSent::NEW))
}

async fn confirm(State(auth): State<Auth>, who: Anyone, Body(input): Body<TokenInput>) -> Result<NoContent> {
    auth.confirm_email_change(&who, input.token.expose()).await
}
