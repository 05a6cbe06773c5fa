//! Accounts and their addresses, for the group that has the people behind them.

use coder_config::EmailVerification;
use coder_core::{Problem, Result, UserId};
use coder_handler::{Cause, Routes};
use coder_middleware::{Access as _, Body, Example, FromService, Json, Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Auth;
use crate::email::EmailAddress;
use crate::model::IdentityStatus;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.get("/internal/identities/{userId}", "get_identity", "The address of an account", identity).post(
        "/internal/identities",
        "find_identities",
        "The accounts behind up to 50 addresses",
        find,
    )
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

/// Addresses.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Addresses {
    /// Each address once.
    #[schemars(length(min = 1, max = 50), inner(length(max = 254)))]
    emails: Vec<String>,
}

impl Example for Addresses {
    fn example() -> Self {
        Self { emails: vec!["ada@example.com".into()] }
    }
}

/// Whose the addresses are.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Owners {
    /// A person for each address, in order; null where nobody has an account, or has not proved to read mail there.
    user_ids: Vec<Option<UserId>>,
}

impl Example for Owners {
    fn example() -> Self {
        Self { user_ids: vec![Some(coder_core::id::EXAMPLE.into())] }
    }
}

async fn find(
    State(auth): State<Auth>,
    who: FromService,
    Body(input): Body<Addresses>,
) -> Result<Json<Owners>> {
    let trusted = auth.runtime.settings.email_verification == EmailVerification::Optional;
    let mut user_ids = Vec::with_capacity(input.emails.len());
    for email in input.emails {
        let Ok(email) = EmailAddress::parse(&email) else {
            user_ids.push(None);
            continue;
        };
        let found = auth.find_by_email(Cause::Request(who.context()), &email).await?;
        let found = found.filter(|(_, identity)| {
            let is_theirs = trusted || identity.data.email_verified_at.is_some();
            is_theirs && identity.data.status == IdentityStatus::Active
        });
        user_ids.push(found.map(|(user_id, _)| user_id));
    }
    Ok(Json(Owners { user_ids }))
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
