//! An invitation by e-mail, and the look-up of its token.

use coder_core::{OrganizationId, ProjectId, TeamId, Timestamp, UserId};
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{Check, Clean};

coder_core::id_type!(/// An invitation of an organization.
    InvitationId);

/// An invitation of one e-mail address; one at most waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Whom; trimmed, NFC, lower case.
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    /// Roles of the membership to be.
    #[schemars(length(min = 1, max = 5))]
    pub roles: Vec<String>,
    /// Teams to join.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub team_ids: Vec<TeamId>,
    /// Roles in single projects.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub project_grants: Vec<ProjectGrant>,
    /// A word from the inviter; may have several lines.
    #[schemars(length(max = 1000))]
    pub message: Option<String>,
    /// Where it stands.
    #[serde(default)]
    pub status: InvitationStatus,
    /// Who asked them in; null where a program did.
    #[serde(default)]
    pub invited_by: Option<UserId>,
    /// Which token answers it: the id of its look-up document.
    pub token_id: String,
    /// SHA-256 of the token's secret.
    pub token_hash: String,
    /// The token, encrypted, until its mail has left.
    #[serde(default)]
    pub sealed_token: Option<String>,
    /// Whether the last mail has left.
    #[serde(default)]
    pub delivery: Delivery,
    /// When it lapses.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires_at: Timestamp,
    /// Mails sent so far, at most 5.
    #[schemars(range(max = 5))]
    pub sent_count: u8,
    /// When the last mail was sent.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_sent_at: Option<Timestamp>,
}

/// Whether a mail has left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It is on its way, or is being tried again.
    #[default]
    Pending,
    /// The mail server took it.
    Sent,
}

/// A role in one project, given on acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectGrant {
    /// The project.
    pub project_id: ProjectId,
    /// The role there.
    #[schemars(regex(pattern = super::patterns::ROLE_NAME))]
    pub role: String,
}

/// Where an invitation stands; all but `pending` are final.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitationStatus {
    /// Waits for an answer.
    #[default]
    Pending,
    /// Became a membership.
    Accepted,
    /// Refused by the invited person.
    Declined,
    /// Taken back by the organization.
    Revoked,
    /// Never answered.
    Expired,
}

impl InvitationStatus {
    /// The status as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// Where the invitation of a token is; in the partition `token:<tokenId>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationToken {
    /// The inviting organization; not `organizationId`, which is the server's field and null here.
    pub invited_to: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
}

/// That an address is invited, for its owner's list; in the partition `invited:<SHA-256(email)>`, with the
/// invitation's id. It goes by itself when the invitation lapses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationRef {
    /// The inviting organization; not `organizationId`, which is the server's field and null here.
    pub invited_to: OrganizationId,
}

impl Entity for InvitationRef {
    const TYPE: &'static str = "invitation-ref";
}

impl Entity for Invitation {
    const TYPE: &'static str = "invitation";
    const SECRET: &'static [&'static str] = &["tokenId", "tokenHash", "sealedToken"];
}

impl Entity for InvitationToken {
    const TYPE: &'static str = "invitation-token";
}

impl Clean for Invitation {
    fn clean(&mut self, check: &mut Check) {
        check.email("/email", &mut self.email);
        check.optional_text("/message", &mut self.message, 1000);
        check.unique("/roles", "", self.roles.iter().map(String::as_str));
    }
}
