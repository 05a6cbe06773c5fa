//! Registration.

use coder_core::{Code, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Access as _, Anyone, Body, Example, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Secret;
use crate::Auth;
use crate::email::EmailAddress;
use crate::model::ClientKind;
use crate::service::answer::{Client, Delivery, RegisterAnswer, demand_origin};
use crate::service::registration::Applicant;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post("/register", "register_account", "Make an account", register)
        .described(|operation| operation.guarded = true)
        .problems([
            Code::RegistrationClosed,
            Code::AlreadyExists,
            Code::EmailMismatch,
            Code::LinkExpired,
            Code::Forbidden,
        ])
}

/// Somebody who wants an account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Register {
    /// The address to sign in with.
    #[schemars(length(min = 3, max = 254))]
    email: String,
    /// At least 12 characters, none of the common passwords, and not made of the person's name or address.
    password: Secret,
    /// The person's name.
    #[schemars(length(min = 1, max = 120))]
    display_name: String,
    /// The name of the organization to make; without it the person gets one of their own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    organization_name: Option<String>,
    /// The token of an invitation; the person joins that organization instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invitation_token: Option<Secret>,
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

impl Example for Register {
    fn example() -> Self {
        Self {
            email: "ada@example.com".into(),
            password: "correct horse battery staple".into(),
            display_name: "Ada Lovelace".into(),
            organization_name: Some("Analytical Engines".into()),
            invitation_token: None,
            device_name: None,
            delivery: Delivery::Body,
            client_kind: None,
        }
    }
}

async fn register(
    State(auth): State<Auth>,
    who: Anyone,
    Body(input): Body<Register>,
) -> Result<RegisterAnswer> {
    if input.delivery == Delivery::Cookie {
        demand_origin(who.context())?;
    }
    let applicant = Applicant {
        email: EmailAddress::from_field(&input.email, "/email")
            .map_err(|fault| Problem::invalid(vec![fault]))?,
        password: input.password.guarded(),
        display_name: input.display_name,
        organization_name: input.organization_name,
        invitation_token: input.invitation_token.map(|token| token.guarded()),
        client: Client { delivery: input.delivery, kind: input.client_kind, device_name: input.device_name },
    };
    auth.register(&who, &applicant).await
}
