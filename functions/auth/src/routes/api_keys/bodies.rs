//! What requests and answers about API keys look like.

use std::str::FromStr;

use coder_core::{OrganizationId, PermissionSet, Scope, Timestamp, UserId};
use coder_database::{Filter, Record};
use coder_middleware::{Example, Filters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ApiKey, ApiKeyDetails, ApiKeyStatus};
use crate::service::api_keys::status_at;
use crate::service::networks;

/// The public half of a key, as it stands in the path.
pub(super) struct KeyId(pub(super) String);

impl FromStr for KeyId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let well_formed = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

/// Whose keys are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Listed {
    /// The caller's.
    Own,
    /// Everybody's; needs `auth.api-key.inspect`.
    Organization,
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(super) struct ApiKeyFilters {
    /// Whose keys are listed: `own` (the default) or `organization`.
    pub(super) scope: Option<Listed>,
}

impl Filters for ApiKeyFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKeyView {
    /// The public half.
    pub(super) key_id: String,
    /// What its owner calls it.
    pub(super) name: String,
    /// Who made it; it never does more than this person may.
    pub(super) user_id: UserId,
    /// The organization that it works in.
    pub(super) organization_id: OrganizationId,
    /// Patterns of permissions.
    pub(super) permissions: Vec<String>,
    /// Where they hold.
    pub(super) scope: Scope,
    /// Networks that it works from; empty is everywhere.
    pub(super) allowed_cidrs: Vec<String>,
    /// When it was made.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(super) created_at: Timestamp,
    /// When it ends.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(super) expires_at: Timestamp,
    /// When it was last used; written every 10 minutes at most.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) last_used_at: Option<Timestamp>,
    /// From where.
    pub(super) last_used_ip: Option<String>,
    /// Whether it works.
    pub(super) status: ApiKeyStatus,
    /// The key that replaces it.
    pub(super) replaced_by: Option<String>,
}

impl ApiKeyView {
    pub(super) fn new(details: &ApiKeyDetails, created_at: Timestamp, now: Timestamp) -> Self {
        Self {
            key_id: details.key_id.clone(),
            name: details.name.clone(),
            user_id: details.user_id,
            organization_id: details.owner_organization_id,
            permissions: patterns(&details.permissions),
            scope: details.scope,
            allowed_cidrs: networks::texts(&details.allowed_cidrs),
            created_at,
            expires_at: details.expires_at,
            last_used_at: details.last_used_at,
            last_used_ip: details.last_used_ip.clone(),
            status: status_at(details, now),
            replaced_by: details.replaced_by.clone(),
        }
    }

    pub(super) fn of(key: &Record<ApiKey>, now: Timestamp) -> Self {
        Self::new(&key.data.details, key.meta.created_at, now)
    }
}

impl Example for ApiKeyView {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            key_id: "4fR7kQ2mZ9xW1bTc".into(),
            name: "Build server".into(),
            user_id: id.into(),
            organization_id: id.into(),
            permissions: vec!["users.project.read".into()],
            scope: Scope::Organization(id.into()),
            allowed_cidrs: vec!["192.0.2.0/24".into()],
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            last_used_at: None,
            last_used_ip: None,
            status: ApiKeyStatus::Active,
            replaced_by: None,
        }
    }
}

/// A new key, shown whole this once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewApiKeyView {
    /// The whole key, for the header `X-API-Key`. It cannot be shown again.
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) details: ApiKeyView,
}

impl Example for NewApiKeyView {
    fn example() -> Self {
        Self { key: "ck_4fR7kQ2mZ9xW1bTc_…".into(), details: ApiKeyView::example() }
    }
}

/// A key to be made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateApiKey {
    /// What it is for.
    #[schemars(length(min = 1, max = 80))]
    pub(super) name: String,
    /// Patterns of permissions, each of which the caller holds.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 120)))]
    pub(super) permissions: Vec<String>,
    /// Where they hold; the whole organization unless said otherwise.
    pub(super) scope: Option<Scope>,
    /// Networks that it works from; everywhere unless said otherwise.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = 49)), extend("maxItems" = 20))]
    pub(super) allowed_cidrs: Vec<String>,
    /// When it ends; in 90 days unless said otherwise.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) expires_at: Option<Timestamp>,
}

impl Example for CreateApiKey {
    fn example() -> Self {
        Self {
            name: "Build server".into(),
            permissions: vec!["users.project.read".into()],
            scope: None,
            allowed_cidrs: Vec::new(),
            expires_at: None,
        }
    }
}

/// What can be changed of a key; it only ever allows less.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ApiKeyFields {
    /// What it is for.
    #[schemars(length(min = 1, max = 80))]
    pub(super) name: String,
    /// Patterns of permissions, each inside those that the key has.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 120)))]
    pub(super) permissions: Vec<String>,
    /// Networks that it works from, inside those that it has.
    #[schemars(inner(length(min = 1, max = 49)), extend("maxItems" = 20))]
    pub(super) allowed_cidrs: Vec<String>,
    /// When it ends; not later than before.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(super) expires_at: Timestamp,
}

impl Example for ApiKeyFields {
    fn example() -> Self {
        Self {
            name: "Build server".into(),
            permissions: vec!["users.project.read".into()],
            allowed_cidrs: vec!["192.0.2.0/24".into()],
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// How a key is replaced.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RotateApiKey {
    /// Seconds that the old key lives on; 0 ends it at once.
    #[serde(default)]
    #[schemars(range(max = 86_400))]
    pub(super) overlap_seconds: u32,
}

impl Example for RotateApiKey {
    fn example() -> Self {
        Self { overlap_seconds: 3600 }
    }
}

pub(super) fn patterns(permissions: &PermissionSet) -> Vec<String> {
    permissions.iter().map(ToString::to_string).collect()
}
