//! A person, an agent or a service.

use coder_core::{OrganizationId, Timestamp, UserId};
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::patterns;
use crate::names::{Check, Clean};

/// Bytes that the preferences may take as JSON.
pub const MAX_PREFERENCES_BYTES: usize = 32 * 1024;

/// A person, an agent or a service; stands above organizations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// What kind of identity.
    pub kind: UserKind,
    /// Mirror of the identity's address; null for agents and services.
    #[schemars(length(max = 254))]
    pub email: Option<String>,
    /// Whether the address was confirmed.
    #[serde(default)]
    pub email_verified: bool,
    /// The name that others see.
    #[schemars(length(min = 1, max = 120))]
    pub display_name: String,
    /// Given name.
    #[schemars(length(max = 80))]
    pub first_name: Option<String>,
    /// Family name.
    #[schemars(length(max = 80))]
    pub last_name: Option<String>,
    /// Position, such as "Senior engineer".
    #[schemars(length(max = 100))]
    pub title: Option<String>,
    /// About the person; may have several lines.
    #[schemars(length(max = 2000))]
    pub bio: Option<String>,
    /// Address of a picture; `https` only.
    #[schemars(length(max = 2048))]
    pub avatar_url: Option<String>,
    /// Telephone number in E.164.
    #[schemars(regex(pattern = patterns::PHONE))]
    pub phone: Option<String>,
    /// Language tag (BCP 47).
    #[serde(default = "default_locale")]
    #[schemars(length(min = 2, max = 100))]
    pub locale: String,
    /// Name in the IANA time zone database.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// Skills.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub competencies: Vec<Competency>,
    /// Settings of clients, by client name; at most 32 KiB as JSON.
    #[serde(default)]
    pub preferences: Map<String, Value>,
    /// Where the identity is in its life.
    #[serde(default)]
    pub status: UserStatus,
    /// When a pending deletion becomes final.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub delete_after: Option<Timestamp>,
    /// Last sign-in.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_login_at: Option<Timestamp>,
    /// The one organization that an agent or service lives in; null for people.
    pub home_organization_id: Option<OrganizationId>,
}

/// The kinds of identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    /// A person.
    Human,
    /// A language model that acts on its own.
    Agent,
    /// A program.
    Service,
}

/// Where an identity is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// In use.
    #[default]
    Active,
    /// Cannot sign in; the profile stays.
    Deactivated,
    /// Goes for good at `deleteAfter` unless it is restored.
    PendingDeletion,
    /// Erased; only the id is left.
    Deleted,
}

impl UserStatus {
    /// The status as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::PendingDeletion => "pending_deletion",
            Self::Deleted => "deleted",
        }
    }
}

/// A skill and how well it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Competency {
    /// Name of the skill.
    #[schemars(length(min = 1, max = 50))]
    pub name: String,
    /// From 1, beginner, to 5, expert.
    #[schemars(range(min = 1, max = 5))]
    pub level: u8,
    /// Who confirmed it.
    pub verified_by: Option<UserId>,
    /// When it was confirmed.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub verified_at: Option<Timestamp>,
}

pub(super) fn default_locale() -> String {
    "en".to_owned()
}

pub(super) fn default_time_zone() -> String {
    "UTC".to_owned()
}

impl Entity for User {
    const TYPE: &'static str = "user";
}

impl User {
    /// An active identity with defaults for everything but its kind and name.
    pub fn new(kind: UserKind, display_name: impl Into<String>) -> Self {
        Self {
            kind,
            email: None,
            email_verified: false,
            display_name: display_name.into(),
            first_name: None,
            last_name: None,
            title: None,
            bio: None,
            avatar_url: None,
            phone: None,
            locale: default_locale(),
            time_zone: default_time_zone(),
            competencies: Vec::new(),
            preferences: Map::new(),
            status: UserStatus::Active,
            delete_after: None,
            last_login_at: None,
            home_organization_id: None,
        }
    }

    /// Erases the person; what is left keeps the shape of history.
    pub fn erase(&mut self) {
        *self = Self {
            status: UserStatus::Deleted,
            home_organization_id: self.home_organization_id,
            ..Self::new(self.kind, "Deleted user")
        };
    }
}

impl Clean for User {
    fn clean(&mut self, check: &mut Check) {
        check.line("/displayName", &mut self.display_name, 120);
        check.optional_line("/firstName", &mut self.first_name, 80);
        check.optional_line("/lastName", &mut self.last_name, 80);
        check.optional_line("/title", &mut self.title, 100);
        check.optional_text("/bio", &mut self.bio, 2000);
        check.optional_https_url("/avatarUrl", &mut self.avatar_url);
        check.locale("/locale", &mut self.locale);
        check.time_zone("/timeZone", &mut self.time_zone);
        for (index, competency) in self.competencies.iter_mut().enumerate() {
            check.line(&format!("/competencies/{index}/name"), &mut competency.name, 50);
        }
        check.unique("/competencies", "name", self.competencies.iter().map(|one| one.name.as_str()));
        check.json_size("/preferences", &self.preferences, MAX_PREFERENCES_BYTES);
    }
}
