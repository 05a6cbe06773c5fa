//! Who is asking. A [`Caller`] exists only after a credential was verified; nothing is read from plain headers.

use jiff::Timestamp;

use crate::id::{OrganizationId, SessionId, UserId};
use crate::permission::{PermissionSet, Scope};

/// A verified caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person, agent or service. `None` for a platform service that acts for itself.
    pub user_id: Option<UserId>,
    /// The organization that the credential is for.
    pub organization_id: Option<OrganizationId>,
    /// What was shown to prove it.
    pub credential: Credential,
    /// Holds `platform.*`, by configuration.
    pub operator: bool,
}

/// The kind of credential, with what is particular to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An access token of a signed-in session.
    Session {
        /// The session.
        session_id: SessionId,
        /// Organization roles at the time of issue; informative, permissions are resolved afresh.
        roles: Vec<String>,
        /// Authentication methods (RFC 8176).
        amr: Vec<String>,
        /// When the person last proved who they are.
        auth_time: Timestamp,
        /// When the token ends.
        expires_at: Timestamp,
        /// The organization demands a second factor that the person has yet to set up: nothing else is open.
        enrolment_only: bool,
    },
    /// An API key; it never carries more than these permissions.
    ApiKey {
        /// The key's public id.
        key_id: String,
        /// What the key was given.
        permissions: PermissionSet,
        /// Where the key holds.
        scope: Scope,
    },
    /// Another part of the platform.
    Service {
        /// The calling group.
        group: String,
    },
}

/// Who did something, as events and audit entries name it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// User id, key id, group or job name.
    pub id: String,
    /// The person in whose name a key, service or job acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<UserId>,
    /// The session, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// The client's address, where the platform saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// What the client said it is; cut to 512 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// The kinds of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A signed-in person.
    User,
    /// An API key.
    ApiKey,
    /// A part of the platform, or nobody known.
    Service,
    /// A scheduled or one-time job.
    Job,
}

impl Actor {
    /// An actor without particulars.
    pub fn new(kind: ActorKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into(), on_behalf_of: None, session_id: None, ip_address: None, user_agent: None }
    }
}

impl Caller {
    /// The actor that events and audit entries name.
    pub fn actor(&self) -> Actor {
        match &self.credential {
            Credential::Session { session_id, .. } => Actor {
                session_id: Some(*session_id),
                ..Actor::new(ActorKind::User, self.user_id.map(|id| id.to_string()).unwrap_or_default())
            },
            Credential::ApiKey { key_id, .. } => {
                Actor { on_behalf_of: self.user_id, ..Actor::new(ActorKind::ApiKey, key_id) }
            }
            Credential::Service { group } => {
                Actor { on_behalf_of: self.user_id, ..Actor::new(ActorKind::Service, group) }
            }
        }
    }

    /// A stable name for limits and idempotency: the same for every request with this credential's owner.
    pub fn key(&self) -> String {
        match (&self.credential, self.user_id) {
            (Credential::ApiKey { key_id, .. }, _) => format!("key:{key_id}"),
            (Credential::Service { group }, None) => format!("service:{group}"),
            (_, Some(user)) => format!("user:{user}"),
            (Credential::Session { session_id, .. }, None) => format!("session:{session_id}"),
        }
    }
}
