//! A tenant: its settings, its limits and the e-mail domains it has proved.

use coder_core::Timestamp;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use crate::names::{Check, Clean};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// The name that people see.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Short name in addresses; unique on the platform.
    #[schemars(regex(pattern = patterns::ORGANIZATION_SLUG))]
    pub slug: String,
    /// What the organization is; may have several lines.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// Address of a logo; `https` only.
    #[schemars(length(max = 2048))]
    pub logo_url: Option<String>,
    /// One person's, or a company's.
    pub kind: OrganizationKind,
    /// Where the organization is in its life.
    #[serde(default)]
    pub status: OrganizationStatus,
    /// When a pending deletion becomes final.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub delete_after: Option<Timestamp>,
    /// When every group was told to erase its share; the document itself goes a day later.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub purged_at: Option<Timestamp>,
    /// How much it may hold; raised by the operator.
    #[serde(default)]
    pub limits: OrganizationLimits,
    /// What its admins decide.
    #[serde(default)]
    pub settings: OrganizationSettings,
    /// E-mail domains.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub domains: Vec<Domain>,
    /// Rises with every change that can change what somebody may do.
    #[serde(default)]
    pub permission_version: u64,
}

/// One person's, or a company's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationKind {
    /// Made with its person.
    Personal,
    /// Made on purpose.
    Company,
}

/// Where an organization is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationStatus {
    /// In use.
    #[default]
    Active,
    /// Stopped by the operator.
    Suspended,
    /// Goes for good at `deleteAfter` unless it is restored.
    PendingDeletion,
}

/// How much an organization may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OrganizationLimits {
    /// Memberships.
    pub members: u32,
    /// Teams, archived ones included.
    pub teams: u32,
    /// Members of one team.
    pub team_members: u32,
    /// Projects, archived ones included.
    pub projects: u32,
    /// Invitations that wait for an answer.
    pub pending_invitations: u32,
}

impl Default for OrganizationLimits {
    fn default() -> Self {
        Self { members: 1000, teams: 200, team_members: 100, projects: 1000, pending_invitations: 100 }
    }
}

/// What the admins of an organization decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct OrganizationSettings {
    /// The role of a new member of whom nothing else was said.
    #[schemars(regex(pattern = patterns::ROLE_NAME))]
    pub default_role: String,
    /// Days for which an invitation holds.
    #[schemars(range(min = 1, max = 30))]
    pub invitation_days: u8,
    /// The role `member` may invite.
    pub members_may_invite: bool,
    /// The role `member` may create projects.
    pub members_may_create_projects: bool,
}

impl Default for OrganizationSettings {
    fn default() -> Self {
        Self {
            default_role: "member".to_owned(),
            invitation_days: 7,
            members_may_invite: false,
            members_may_create_projects: true,
        }
    }
}

/// An e-mail domain of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// The domain in lower case.
    #[schemars(length(min = 3, max = 253))]
    pub domain: String,
    /// What the TXT record must hold after `coder-verify=`.
    pub txt_token: String,
    /// When the record was seen.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub verified_at: Option<Timestamp>,
}

impl Entity for Organization {
    const TYPE: &'static str = "organization";
}

impl Organization {
    /// An active organization with default limits and settings.
    pub fn new(kind: OrganizationKind, name: impl Into<String>, slug: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            slug: slug.into(),
            description: None,
            logo_url: None,
            kind,
            status: OrganizationStatus::Active,
            delete_after: None,
            purged_at: None,
            limits: OrganizationLimits::default(),
            settings: OrganizationSettings::default(),
            domains: Vec::new(),
            permission_version: 1,
        }
    }
}

impl Clean for Organization {
    fn clean(&mut self, check: &mut Check) {
        check.line("/name", &mut self.name, 100);
        check.optional_text("/description", &mut self.description, 1000);
        check.optional_https_url("/logoUrl", &mut self.logo_url);
    }
}
