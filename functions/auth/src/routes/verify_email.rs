//! Confirming the address of an account.

use coder_core::{Code, Result};
use coder_handler::Routes;
use coder_middleware::{Accepted, Anyone, Body, NoContent, State};

use super::fields::{EmailInput, TokenInput};
use crate::Auth;
use crate::service::answer::LinkSent;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post("/verify-email", "verify_email", "Confirm an e-mail address with the token of its link", verify)
        .described(|operation| operation.guarded = true)
        .problems([Code::LinkExpired])
        .post("/verify-email/resend", "resend_email_verification", "Have the link mailed again", resend)
        .described(|operation| operation.guarded = true)
}

async fn verify(State(auth): State<Auth>, who: Anyone, Body(input): Body<TokenInput>) -> Result<NoContent> {
    auth.verify_email(&who, input.token.expose()).await
}

async fn resend(
    State(auth): State<Auth>,
    who: Anyone,
    Body(input): Body<EmailInput>,
) -> Result<Accepted<LinkSent>> {
    auth.resend_verification(&who, &input.address()?).await?;
    Ok(Accepted(LinkSent::NEW))
}
