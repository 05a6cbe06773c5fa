//! A signed-in session: one device of one person.

use coder_core::{OrganizationId, SessionId, Timestamp, UserId};
use coder_database::{Entity, Partition};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A session, live or ended. Lives in the person's partition; the id is the session id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The person.
    pub user_id: UserId,
    /// The organization that access tokens are made for. The document itself belongs to no organization, hence
    /// the name.
    pub current_organization_id: Option<OrganizationId>,
    /// The person's roles there as they were last read, for when the users group is away.
    #[serde(default)]
    pub roles: Vec<String>,
    /// When they were read.
    #[serde(default)]
    pub roles_read_at: Option<Timestamp>,
    /// Counts the uses of the refresh token; starts at 1.
    pub generation: u32,
    /// When the generation last grew.
    pub rotated_at: Timestamp,
    /// 32 random bytes in base64url that enter the refresh token's seal.
    pub salt: String,
    /// How the person proved who they are (RFC 8176).
    pub amr: Vec<String>,
    /// When they did so last.
    pub auth_time: Timestamp,
    /// What kind of program signed in.
    pub client_kind: ClientKind,
    /// What the person calls the device; at most 100 characters.
    pub device_name: Option<String>,
    /// At most 512 bytes.
    pub user_agent: Option<String>,
    /// The address at sign-in.
    pub ip_address: Option<String>,
    /// Written at most once a minute.
    pub last_used_at: Timestamp,
    /// When the session ends if it is not used.
    pub idle_expires_at: Timestamp,
    /// When it ends however much it is used.
    pub absolute_expires_at: Timestamp,
    /// When it was ended early.
    pub revoked_at: Option<Timestamp>,
    /// Why.
    pub revoked_reason: Option<RevokedReason>,
}

/// The kind of program that signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A web browser.
    Browser,
    /// The desktop IDE.
    Ide,
    /// The command-line tool.
    Cli,
    /// Anything else.
    Other,
}

impl ClientKind {
    /// The name as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Ide => "ide",
            Self::Cli => "cli",
            Self::Other => "other",
        }
    }
}

/// Why a session was ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedReason {
    /// The person signed out.
    Logout,
    /// The person ended it from another session.
    RevokedByUser,
    /// An administrator ended it.
    RevokedByAdmin,
    /// The password was changed.
    PasswordChanged,
    /// The password was reset.
    PasswordReset,
    /// The second factor was removed.
    MfaRemoved,
    /// The person was deactivated.
    Deactivated,
    /// The person left the organization.
    MembershipRemoved,
    /// A used refresh token came again.
    ReuseDetected,
    /// More than the allowed number of sessions; the oldest fell out.
    SessionLimit,
}

impl Entity for Session {
    const TYPE: &'static str = "session";
    const SECRET: &'static [&'static str] = &["salt"];
}

impl Session {
    /// Days an ended session stays listed.
    const KEPT_DAYS: i64 = 7;

    /// The person's partition.
    pub fn partition(user_id: UserId) -> Partition {
        Partition::user(user_id)
    }

    /// The document id.
    pub fn document_id(id: SessionId) -> String {
        id.to_string()
    }

    /// When the session ends, or ended.
    pub fn ends_at(&self) -> Timestamp {
        let expires_at = self.idle_expires_at.min(self.absolute_expires_at);
        self.revoked_at.map_or(expires_at, |revoked_at| revoked_at.min(expires_at))
    }

    /// When the document goes.
    pub fn kept_until(&self) -> Timestamp {
        let kept = SignedDuration::from_hours(24 * Self::KEPT_DAYS);
        self.ends_at().saturating_add(kept).unwrap_or(Timestamp::MAX)
    }
}
