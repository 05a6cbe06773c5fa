//! Signing out.

use coder_core::{Code, Credential, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Access as _, Authentication, SignedIn, State};

use crate::Auth;
use crate::service::answer::SignedOut;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post("/logout", "end_session", "End this session", log_out)
        .described(|operation| operation.during_enrolment = true)
}

async fn log_out(State(auth): State<Auth>, who: SignedIn) -> Result<SignedOut> {
    let Authentication::Verified(caller) = who.context().authentication() else { return Ok(SignedOut) };
    let Credential::Session { session_id, .. } = &caller.credential else {
        return Err(Problem::new(
            Code::Forbidden,
            "An API key has no session to end; revoke the key instead.",
        )
        .into());
    };
    auth.log_out(&who, *session_id).await
}
