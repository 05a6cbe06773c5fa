//! Setting up an empty platform.

use coder_core::{Code, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Anyone, Body, Example, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Secret;
use crate::Auth;
use crate::email::EmailAddress;
use crate::service::answer::{Client, Delivery, RegisterAnswer};
use crate::service::registration::Applicant;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post("/bootstrap", "bootstrap_platform", "Make the first owner and organization, once", bootstrap)
        .described(|operation| operation.guarded = true)
        .problems([Code::InvalidCredentials])
}

/// The first owner and organization.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Bootstrap {
    /// What the platform has written to its console.
    setup_token: Secret,
    /// The owner's address.
    #[schemars(length(min = 3, max = 254))]
    email: String,
    /// The owner's password.
    password: Secret,
    /// The owner's name.
    #[schemars(length(min = 1, max = 120))]
    display_name: String,
    /// The organization's name.
    #[schemars(length(min = 1, max = 100))]
    organization_name: String,
}

impl Example for Bootstrap {
    fn example() -> Self {
        Self {
            setup_token: "AZkMOn46fBGdL1tqfI2eDw…".into(),
            email: "ada@example.com".into(),
            password: "correct horse battery staple".into(),
            display_name: "Ada Lovelace".into(),
            organization_name: "Analytical Engines".into(),
        }
    }
}

async fn bootstrap(
    State(auth): State<Auth>,
    who: Anyone,
    Body(input): Body<Bootstrap>,
) -> Result<RegisterAnswer> {
    let applicant = Applicant {
        email: EmailAddress::from_field(&input.email, "/email")
            .map_err(|fault| Problem::invalid(vec![fault]))?,
        password: input.password.guarded(),
        display_name: input.display_name,
        organization_name: Some(input.organization_name),
        invitation_token: None,
        client: Client { delivery: Delivery::Body, kind: None, device_name: None },
    };
    auth.bootstrap(&who, input.setup_token.expose(), &applicant).await
}
