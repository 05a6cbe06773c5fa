//! Grants: what somebody may do with one secret beyond their role.

use coder_core::{Timestamp, id_type};
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretId;

id_type!(/// A grant at a secret.
    GrantId);

/// Kinds of whom a secret is shared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A member of the organization.
    User,
    /// Everybody in a team.
    Team,
    /// Everybody with a role in the organization.
    Role,
    /// An agent or service identity of the organization.
    Service,
}

impl PrincipalKind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Role => "role",
            Self::Service => "service",
        }
    }
}

/// With whom a secret is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// What kind.
    pub kind: PrincipalKind,
    /// The id; for a role its name.
    #[schemars(length(min = 1, max = 40))]
    pub id: String,
}

/// What a grant can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrantAction {
    /// See the metadata.
    Read,
    /// See the value.
    Reveal,
    /// Change it and set new values.
    Update,
    /// Delete it.
    Delete,
    /// Share it further.
    Grant,
}

/// A stored grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The secret.
    pub secret_id: SecretId,
    /// With whom it is shared.
    pub principal: Principal,
    /// What it allows.
    pub actions: Vec<GrantAction>,
    /// When it ends by itself.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

impl Entity for Grant {
    const TYPE: &'static str = "grant";
}

impl Grant {
    /// Whether it counts at a time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// What is unique of it, for its claim.
    pub fn claim(&self) -> [String; 3] {
        let Principal { kind, id } = &self.principal;
        [self.secret_id.to_string(), kind.as_str().to_owned(), id.clone()]
    }
}

impl Example for Grant {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            secret_id: id.into(),
            principal: Principal { kind: PrincipalKind::User, id: id.to_string() },
            actions: vec![GrantAction::Read, GrantAction::Reveal],
            expires_at: None,
        }
    }
}
