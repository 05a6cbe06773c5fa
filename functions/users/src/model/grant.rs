//! Permissions given to somebody at a scope.

use coder_core::{Pattern, Scope, TeamId, Timestamp, UserId};
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

coder_core::id_type!(/// A grant of an organization.
    GrantId);

/// Permissions that a person, an agent or a team has at a scope and below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Who has them.
    pub subject: Subject,
    /// Where they hold.
    pub scope: Scope,
    /// What is given.
    #[serde(flatten)]
    pub granted: Granted,
    /// When it ends by itself.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

/// Who has a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "id", rename_all = "lowercase", deny_unknown_fields)]
pub enum Subject {
    /// A person.
    User(UserId),
    /// Everybody in a team and in the teams below it.
    Team(TeamId),
    /// An agent or a service.
    Agent(UserId),
}

/// What a grant gives: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Granted {
    /// Everything in a role.
    Role(String),
    /// These permissions or patterns.
    Permissions(#[schemars(with = "Vec<String>", length(min = 1, max = 50))] Vec<Pattern>),
}

impl Entity for Grant {
    const TYPE: &'static str = "grant";
}

impl Grant {
    /// Whether the grant counts at this time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}
