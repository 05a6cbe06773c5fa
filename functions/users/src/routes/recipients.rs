//! Who stands behind the recipients of a message, for those who send it.

use coder_core::{OrganizationId, ProjectId, Result};
use coder_handler::Routes;
use coder_middleware::{Body, Example, FromService, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::service::Users;
use crate::service::recipients::{RecipientPerson, Recipients};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes.post("/internal/recipients", "expand_recipients", "Say who stands behind recipients", expand)
}

/// Recipients that are asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecipientsRequest {
    /// The tenant; without one only single people are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// `user:<id>`, `team:<id>`, `role:<name>`, `lead:<projectId>`.
    #[schemars(length(min = 1, max = 1000), inner(length(min = 1, max = 100)))]
    pub recipients: Vec<String>,
    /// Only those who may read this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
}

impl Example for RecipientsRequest {
    fn example() -> Self {
        let organization_id = Some(coder_core::id::EXAMPLE.into());
        Self { organization_id, recipients: vec!["role:admin".to_owned()], project_id: None }
    }
}

impl Example for Recipients {
    fn example() -> Self {
        let ada = RecipientPerson {
            user_id: coder_core::id::EXAMPLE.into(),
            display_name: "Ada Lovelace".to_owned(),
            email: Some("ada@example.com".to_owned()),
            locale: "en".to_owned(),
            time_zone: "Europe/London".to_owned(),
        };
        Self { people: vec![ada], unknown: Vec::new() }
    }
}

async fn expand(
    State(users): State<Users>,
    _who: FromService,
    Body(input): Body<RecipientsRequest>,
) -> Result<Json<Recipients>> {
    let RecipientsRequest { organization_id, recipients, project_id } = input;
    users.expand_recipients(organization_id, &recipients, project_id).await.map(Json)
}
