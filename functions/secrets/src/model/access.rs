//! The record of one use of a secret, or of an attempt.

use coder_core::{ActorKind, Timestamp, UserId};
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretId, SecretScope};
use crate::access::Action;

/// Seconds for which a record is kept.
pub const RETENTION_SECONDS: i64 = 400 * 24 * 3600;

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Allowed,
    /// It was refused.
    Denied,
    /// It was allowed and could not be done.
    Failed,
}

/// One use; never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessRecord {
    /// The secret.
    pub secret_id: SecretId,
    /// Its name at the time.
    pub secret_name: String,
    /// For whom the secret was.
    pub scope: SecretScope,
    /// The person whose own it was.
    pub owner_id: Option<UserId>,
    /// What was done.
    pub action: Action,
    /// With which version.
    pub version: Option<u32>,
    /// Who did it: a user id, key id, group or job name.
    pub actor: String,
    /// What kind of actor.
    pub actor_kind: ActorKind,
    /// The person, also where a key or service acted for them.
    pub user_id: Option<UserId>,
    /// The group that asked.
    pub consumer: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, as the caller said.
    pub reason: Option<String>,
    /// The client's address.
    pub ip: Option<String>,
    /// The request.
    pub request_id: String,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

impl Entity for AccessRecord {
    const TYPE: &'static str = "access";
}

impl Example for AccessRecord {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            secret_id: id.into(),
            secret_name: "STRIPE_KEY".to_owned(),
            scope: SecretScope::Organization,
            owner_id: None,
            action: Action::Reveal,
            version: Some(1),
            actor: id.to_string(),
            actor_kind: ActorKind::User,
            user_id: Some(id.into()),
            consumer: None,
            outcome: Outcome::Allowed,
            reason: Some("On call".to_owned()),
            ip: Some("203.0.113.7".to_owned()),
            request_id: "01JH0000000000000000000000".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }
}
