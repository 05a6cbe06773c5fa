//! A secret without its value: name, place, state, rotation.

use std::collections::BTreeMap;

use coder_core::{OrganizationId, ProjectId, Scope, TeamId, Timestamp, UserId, id_type};
use coder_database::{Entity, Record};
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rotation, RotationState};
use crate::value::Kind;

id_type!(/// A secret.
    SecretId);

/// For whom a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretScope {
    /// For the whole organization.
    Organization,
    /// For a team.
    Team,
    /// For a project.
    Project,
    /// For one person, and nobody else.
    User,
}

impl SecretScope {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Team => "team",
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// Where a secret is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretState {
    /// In use.
    Active,
    /// Switched off.
    Disabled,
    /// Its time is over.
    Expired,
    /// Deleted; it can be restored until `purgeAt`.
    Deleted,
}

/// The stored metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// The name, unique in its place whatever its case.
    pub name: String,
    /// The name in lower case, for searches.
    pub folded_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What shape the value has.
    pub kind: Kind,
    /// For whom it is.
    pub scope: SecretScope,
    /// The team, project or person; null for the organization.
    pub scope_id: Option<String>,
    /// The environment.
    pub environment: String,
    /// The folder.
    pub folder: String,
    /// Where it is in its life.
    pub state: SecretState,
    /// The version that is used.
    pub current_version: u32,
    /// Versions whose values are kept.
    pub max_versions: u32,
    /// When its time is over.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// How new values come about.
    pub rotation: Rotation,
    /// How far rotation is.
    pub rotation_state: RotationState,
    /// For finding.
    pub tags: Vec<String>,
    /// Whatever else is to be known.
    pub metadata: BTreeMap<String, String>,
    /// Whether seeing the value needs a reason.
    pub require_reason: bool,
    /// Whether the platform's services may use it without a person's rights.
    pub system_use: bool,
    /// The same for the same value in one organization, and tells nothing else.
    pub fingerprint: String,
    /// When it was deleted.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub deleted_at: Option<Timestamp>,
    /// When a deleted one goes for good.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub purge_at: Option<Timestamp>,
    /// The state that restoring gives back.
    pub state_before_deletion: Option<SecretState>,
    /// The warning of expiry that was sent last, in days.
    pub warned_days: Option<i64>,
    /// Whether more versions are kept than `maxVersions` allows; the nightly job destroys them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overfull: bool,
}

impl Entity for Secret {
    const TYPE: &'static str = "secret";
}

impl Secret {
    /// The state at a time: what is past its time has expired, whether a job noted it or not.
    pub fn state_at(&self, now: Timestamp) -> SecretState {
        match self.state {
            SecretState::Active if self.expires_at.is_some_and(|end| end <= now) => SecretState::Expired,
            state => state,
        }
    }

    /// Where permissions are checked; `None` for a person's own.
    pub fn permission_scope(&self, organization: OrganizationId) -> Option<Scope> {
        let id = self.scope_id.as_deref().unwrap_or_default();
        match self.scope {
            SecretScope::Organization => Some(Scope::Organization(organization)),
            SecretScope::Team => id.parse::<TeamId>().ok().map(Scope::Team),
            SecretScope::Project => id.parse::<ProjectId>().ok().map(Scope::Project),
            SecretScope::User => None,
        }
    }

    /// The person whose own it is.
    pub fn owner(&self) -> Option<UserId> {
        let own = self.scope == SecretScope::User;
        self.scope_id.as_deref().filter(|_| own).and_then(|id| id.parse().ok())
    }

    /// What is unique of it, for its claim.
    pub fn place(&self) -> Place {
        Place {
            scope: self.scope,
            scope_id: self.scope_id.clone(),
            environment: self.environment.clone(),
            folder: self.folder.clone(),
            name: self.name.clone(),
        }
    }
}

/// Where a secret is found by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// For whom.
    pub scope: SecretScope,
    /// The team, project or person.
    pub scope_id: Option<String>,
    /// The environment.
    pub environment: String,
    /// The folder.
    pub folder: String,
    /// The name.
    pub name: String,
}

impl Place {
    /// The unique tuple, names without case.
    pub fn claim(&self) -> [String; 5] {
        [
            self.scope.as_str().to_owned(),
            self.scope_id.clone().unwrap_or_default(),
            self.environment.clone(),
            self.folder.clone(),
            self.name.to_ascii_lowercase(),
        ]
    }
}

impl Example for Secret {
    fn example() -> Self {
        Self {
            name: "STRIPE_KEY".to_owned(),
            folded_name: "stripe_key".to_owned(),
            description: Some("For payments".to_owned()),
            kind: Kind::ApiKey,
            scope: SecretScope::Organization,
            scope_id: None,
            environment: "default".to_owned(),
            folder: "/".to_owned(),
            state: SecretState::Active,
            current_version: 1,
            max_versions: 10,
            expires_at: None,
            rotation: Rotation::default(),
            rotation_state: RotationState::default(),
            tags: vec!["payments".to_owned()],
            metadata: BTreeMap::new(),
            require_reason: false,
            system_use: false,
            fingerprint: "5f0c1d2e3a4b5c6d".to_owned(),
            deleted_at: None,
            purge_at: None,
            state_before_deletion: None,
            warned_days: None,
            overfull: false,
        }
    }
}

/// How many secrets an organization has, deleted ones included until they are purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The number.
    pub secrets: i64,
}

impl Tally {
    /// The id of the one document in each organization.
    pub const ID: &str = "tally";
}

impl Entity for Tally {
    const TYPE: &'static str = "tally";
}

/// The secret as everybody who may see it is shown it: the state as it is now.
pub fn shown(mut record: Record<Secret>, now: Timestamp) -> Record<Secret> {
    record.data.state = record.data.state_at(now);
    record
}
