//! What a credential is worth now, for other parts of the platform (RFC 7662).

use std::net::IpAddr;

use coder_core::{OrganizationId, PermissionSet, Result, Scope, SessionId, UserId};
use coder_handler::Routes;
use coder_middleware::{Body, Example, FromService, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Secret;
use crate::Auth;
use crate::service::introspection::Holding;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.post("/introspect", "introspect_credential", "What a token or an API key is worth now", introspect)
}

/// A credential to look at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Introspect {
    /// An access token or an API key.
    #[schemars(with = "String", length(min = 1, max = 8192))]
    token: Secret,
    /// The address that it came from, for keys that are bound to networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    client_address: Option<IpAddr>,
}

impl Example for Introspect {
    fn example() -> Self {
        Self { token: "ck_0123456789abcdef_…".into(), client_address: IpAddr::from([192, 0, 2, 7]).into() }
    }
}

/// What a credential is worth; nothing but `active` for one that does not hold.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Introspection {
    /// Whether it holds.
    active: bool,
    /// `Bearer` or `api_key`.
    #[serde(rename = "token_type", skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The person, as RFC 7662 names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<UserId>,
    /// The issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// When it ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When it was made, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// The token's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// The person.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// The organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_id: Option<OrganizationId>,
    /// The session of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// The public id of an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// The most that an API key may do; the person's own permissions at the place of use limit it further.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    permissions: Option<PermissionSet>,
    /// Where an API key holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
}

impl From<Holding> for Introspection {
    fn from(holding: Holding) -> Self {
        match holding {
            Holding::Key { user_id, organization_id, key_id, permissions, scope, expires_at } => Self {
                active: true,
                token_type: Some("api_key"),
                sub: Some(user_id),
                exp: Some(expires_at),
                user_id: Some(user_id),
                organization_id: Some(organization_id),
                key_id: Some(key_id),
                permissions: Some(permissions),
                scope: Some(scope),
                ..Self::default()
            },
            Holding::Session { user_id, organization_id, session_id, issued_at, expires_at, token_id } => {
                Self {
                    active: true,
                    token_type: Some("Bearer"),
                    sub: Some(user_id),
                    exp: Some(expires_at),
                    iat: Some(issued_at),
                    jti: Some(token_id),
                    user_id: Some(user_id),
                    organization_id,
                    session_id: Some(session_id),
                    ..Self::default()
                }
            }
        }
    }
}

impl Example for Introspection {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            active: true,
            token_type: Some("api_key"),
            sub: Some(id.into()),
            iss: Some("https://coder.example.com/api/auth".into()),
            exp: Some(1_769_852_700),
            user_id: Some(id.into()),
            organization_id: Some(id.into()),
            key_id: Some("0123456789abcdef".into()),
            permissions: coder_core::Pattern::parse("*.*.read").map(|one| PermissionSet::from_iter([one])),
            scope: Some(Scope::Organization(id.into())),
            ..Self::default()
        }
    }
}

async fn introspect(
    State(auth): State<Auth>,
    who: FromService,
    Body(input): Body<Introspect>,
) -> Result<Json<Introspection>> {
    let holding = auth.introspect(&who, &input.token.guarded(), input.client_address).await?;
    let mut answer = holding.map(Introspection::from).unwrap_or_default();
    answer.iss = answer.active.then(|| auth.issuer.issuer().to_owned());
    Ok(Json(answer))
}
