//! Proving again who one is, for sensitive actions.

use coder_core::{Code, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Body, Example, InSession, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Secret;
use crate::Auth;
use crate::service::answer::TokenAnswer;
use crate::service::refreshing::FreshProof;
use crate::service::second_factor::Proof;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post(
            "/reauthenticate",
            "reauthenticate",
            "Get an access token with a fresh sign-in time",
            reauthenticate,
        )
        .described(|operation| operation.during_enrolment = true)
        .problems([Code::InvalidCredentials])
}

/// Exactly one proof.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reauthenticate {
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
    /// The six digits that the authenticator app shows, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Secret>,
    /// One of the recovery codes, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovery_code: Option<Secret>,
}

impl Example for Reauthenticate {
    fn example() -> Self {
        Self { password: Some("correct horse battery staple".into()), code: None, recovery_code: None }
    }
}

async fn reauthenticate(
    State(auth): State<Auth>,
    who: InSession,
    Body(input): Body<Reauthenticate>,
) -> Result<TokenAnswer> {
    let proof = match (input.password, input.code, input.recovery_code) {
        (Some(password), None, None) => FreshProof::Password(password.guarded()),
        (None, Some(code), None) => FreshProof::Factor(Proof::Code(code.guarded())),
        (None, None, Some(code)) => FreshProof::Factor(Proof::Recovery(code.guarded())),
        _ => {
            let message = "Send one of `password`, `code` and `recoveryCode`.";
            return Err(Problem::fault("", "required", message).into());
        }
    };
    auth.reauthenticate(&who, &proof).await
}
