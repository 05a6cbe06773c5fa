//! A person's place in an organization, and its mirror beside the person.

use coder_core::{OrganizationId, Timestamp, UserId};
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Competency, User, UserKind, UserStatus};
use crate::names::folded;

/// A person's place in an organization: one per user and organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Who.
    pub user_id: UserId,
    /// Names of built-in or own roles.
    #[schemars(length(min = 1, max = 5))]
    pub roles: Vec<String>,
    /// Whether it counts.
    #[serde(default)]
    pub status: MembershipStatus,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub joined_at: Timestamp,
    /// Who asked them in.
    pub invited_by: Option<UserId>,
    /// When it ends by itself.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// Last use, noted at most once an hour.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_access_at: Option<Timestamp>,
    /// Mirror of the person's profile, so that a list of people is one query.
    #[serde(default)]
    pub person: PersonMirror,
}

/// What lists of people show, search and sort by. The person's own document is the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PersonMirror {
    /// As in the profile.
    pub display_name: String,
    /// The display name without its case, to search and sort by.
    pub folded_name: String,
    /// As in the profile.
    pub email: Option<String>,
    /// As in the profile.
    pub kind: UserKind,
    /// As in the profile.
    pub status: UserStatus,
    /// As in the profile.
    pub title: Option<String>,
    /// As in the profile.
    pub avatar_url: Option<String>,
    /// As in the profile.
    pub competencies: Vec<Competency>,
    /// Names of the skills without their case, to search by.
    pub folded_competencies: Vec<String>,
}

/// Whether a membership counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MembershipStatus {
    /// It counts.
    #[default]
    Active,
    /// It is there and gives nothing.
    Suspended,
}

/// The mirror of a membership in its person's partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MembershipRef {
    /// The organization; not `organizationId`, which is the server's field and null here.
    pub member_of: OrganizationId,
    /// As in the membership.
    pub roles: Vec<String>,
    /// As in the membership.
    pub status: MembershipStatus,
    /// As in the membership.
    pub joined_at: Timestamp,
    /// As in the membership.
    pub expires_at: Option<Timestamp>,
}

impl Default for PersonMirror {
    fn default() -> Self {
        Self::from(&User::new(UserKind::Human, ""))
    }
}

impl From<&User> for PersonMirror {
    fn from(person: &User) -> Self {
        Self {
            display_name: person.display_name.clone(),
            folded_name: folded(&person.display_name),
            email: person.email.clone(),
            kind: person.kind,
            status: person.status,
            title: person.title.clone(),
            avatar_url: person.avatar_url.clone(),
            competencies: person.competencies.clone(),
            folded_competencies: person.competencies.iter().map(|one| folded(&one.name)).collect(),
        }
    }
}

impl Entity for Membership {
    const TYPE: &'static str = "membership";
}

impl Entity for MembershipRef {
    const TYPE: &'static str = "membership-ref";
}

impl Membership {
    /// An active membership from now on.
    pub fn new(user_id: UserId, roles: Vec<String>, joined_at: Timestamp) -> Self {
        Self {
            user_id,
            roles,
            status: MembershipStatus::Active,
            joined_at,
            invited_by: None,
            expires_at: None,
            last_access_at: None,
            person: PersonMirror::default(),
        }
    }

    /// The membership with a fresh mirror of its person.
    pub fn of(mut self, person: &User) -> Self {
        self.person = PersonMirror::from(person);
        self
    }

    /// The id of a user's membership.
    pub fn document_id(user_id: UserId) -> String {
        format!("membership:{user_id}")
    }

    /// Whether the membership counts at this time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.status == MembershipStatus::Active && self.expires_at.is_none_or(|end| end > now)
    }

    /// The mirror of this membership.
    pub fn mirror(&self, member_of: OrganizationId) -> MembershipRef {
        MembershipRef {
            member_of,
            roles: self.roles.clone(),
            status: self.status,
            joined_at: self.joined_at,
            expires_at: self.expires_at,
        }
    }
}

impl MembershipRef {
    /// The id of the mirror of a membership in an organization.
    pub fn document_id(organization_id: OrganizationId) -> String {
        format!("membership-ref:{organization_id}")
    }

    /// Whether the membership counts at this time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.status == MembershipStatus::Active && self.expires_at.is_none_or(|end| end > now)
    }
}
