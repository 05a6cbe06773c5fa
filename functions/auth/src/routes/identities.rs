//! The address of an account, for the group that mirrors it beside the person's profile.

use coder_core::{Problem, Result, UserId};
use coder_handler::Routes;
use coder_middleware::{Example, FromService, Json, Path, State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Auth;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.get("/internal/identities/{userId}", "get_identity", "The address of an account", identity)
}

/// An account, as far as others need to know it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct IdentityView {
    /// The address that the person signs in with.
    email: String,
    /// Whether the person has proved to read mail there.
    email_verified: bool,
}

impl Example for IdentityView {
    fn example() -> Self {
        Self { email: "ada@example.com".into(), email_verified: true }
    }
}

async fn identity(
    State(auth): State<Auth>,
    _who: FromService,
    Path(user_id): Path<UserId>,
) -> Result<Json<IdentityView>> {
    let found = auth.identity(user_id).await?.ok_or_else(|| Problem::not_found("account"))?;
    Ok(Json(IdentityView {
        email: found.data.email.as_str().to_owned(),
        email_verified: found.data.email_verified_at.is_some(),
    }))
}
