//! Signing in by password, and the second step where one is due.

use coder_core::{Code, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Access as _, Anyone, Body, Example, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Secret;
use crate::Auth;
use crate::email::EmailAddress;
use crate::model::ClientKind;
use crate::service::answer::{Client, Delivery, LoginAnswer, TokenAnswer, demand_origin};
use crate::service::second_factor::Proof;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post("/login", "begin_login", "Sign in with e-mail address and password", log_in)
        .described(|operation| operation.guarded = true)
        .problems([Code::InvalidCredentials, Code::EmailUnverified, Code::Forbidden])
        .post("/login/mfa", "complete_login", "Finish a sign-in with a second factor", log_in_with_factor)
        .described(|operation| operation.guarded = true)
        .problems([Code::InvalidCredentials, Code::Forbidden])
}

/// E-mail address and password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Login {
    /// The address of the account.
    #[schemars(length(min = 3, max = 254))]
    email: String,
    /// Its password.
    password: Secret,
    /// What the person calls the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    device_name: Option<String>,
    /// How the refresh token comes back.
    #[serde(default)]
    delivery: Delivery,
    /// What kind of program this is; guessed if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_kind: Option<ClientKind>,
}

impl Example for Login {
    fn example() -> Self {
        Self {
            email: "ada@example.com".into(),
            password: "correct horse battery staple".into(),
            device_name: Some("Ada's laptop".into()),
            delivery: Delivery::Body,
            client_kind: Some(ClientKind::Ide),
        }
    }
}

/// The second step: a code or a recovery code.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LoginMfa {
    /// What the first step answered.
    mfa_token: Secret,
    /// The six digits that the authenticator app shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Secret>,
    /// One of the recovery codes, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovery_code: Option<Secret>,
}

impl Example for LoginMfa {
    fn example() -> Self {
        Self {
            mfa_token: "AZkMOn46fBGdL1tqfI2eDw…".into(), code: Some("492039".into()), recovery_code: None
        }
    }
}

/// The one of two fields that is there; `422` for none or both.
pub(crate) fn proof(code: Option<&Secret>, recovery_code: Option<&Secret>) -> Result<Proof> {
    match (code, recovery_code) {
        (Some(code), None) => Ok(Proof::Code(code.guarded())),
        (None, Some(code)) => Ok(Proof::Recovery(code.guarded())),
        _ => Err(Problem::fault("/code", "required", "Send either `code` or `recoveryCode`.").into()),
    }
}

async fn log_in(State(auth): State<Auth>, who: Anyone, Body(input): Body<Login>) -> Result<LoginAnswer> {
    if input.delivery == Delivery::Cookie {
        demand_origin(who.context())?;
    }
    let email =
        EmailAddress::from_field(&input.email, "/email").map_err(|fault| Problem::invalid(vec![fault]))?;
    let client = Client { delivery: input.delivery, kind: input.client_kind, device_name: input.device_name };
    auth.log_in(&who, &email, &input.password.guarded(), &client).await
}

async fn log_in_with_factor(
    State(auth): State<Auth>,
    who: Anyone,
    Body(input): Body<LoginMfa>,
) -> Result<TokenAnswer> {
    let proof = proof(input.code.as_ref(), input.recovery_code.as_ref())?;
    auth.log_in_with_factor(&who, input.mfa_token.expose(), &proof).await
}
