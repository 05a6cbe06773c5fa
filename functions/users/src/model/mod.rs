//! What is stored, and where.
//!
//! | document | partition | id |
//! |---|---|---|
//! | user | `user:<userId>` | the user id |
//! | membership-ref | `user:<userId>` | `membership-ref:<organizationId>` |
//! | organization | `org:<organizationId>` | the organization id |
//! | membership | `org:` | `membership:<userId>` |
//! | team, project, grant, invitation | `org:` | a UUID of its own |
//! | team-member | `org:` | `team-member:<teamId>:<userId>` |
//! | role | `org:` | `role:<name>` |
//! | invitation-token | `token:<tokenId>` | the token id |
//! | invitation-ref | `invited:<SHA-256(email)>` | the invitation's id |
//!
//! Values that must be unique beyond their document id are claims, named in [`claims`].

mod grant;
mod invitation;
mod membership;
mod organization;
mod project;
mod role;
mod team;
mod user;

pub use grant::{Grant, GrantId, Granted, Subject};
pub use invitation::{
    Delivery, Invitation, InvitationId, InvitationRef, InvitationStatus, InvitationToken, ProjectGrant,
};
pub use membership::{Membership, MembershipRef, MembershipStatus, PersonMirror};
pub use organization::{
    Domain, Organization, OrganizationKind, OrganizationLimits, OrganizationSettings, OrganizationStatus,
};
pub use project::{
    Environment, EnvironmentKind, MAX_PROFILE_PART_BYTES, Project, ProjectProfile, ProjectStatus, Repository,
    RepositoryProvider,
};
pub use role::Role;
pub use team::{Team, TeamMember, TeamRole};
pub use user::{Competency, MAX_PREFERENCES_BYTES, User, UserKind, UserStatus};

/// The name of the group's container.
pub const CONTAINER: &str = "users";

/// The kinds of claim, each with the partition it stands in.
pub mod claims {
    /// Case-folded team name; in the organization's partition.
    pub const TEAM_NAME: &str = "team-name";
    /// Project key; in the organization's partition.
    pub const PROJECT_KEY: &str = "project-key";
    /// E-mail of a pending invitation; in the organization's partition.
    pub const INVITATION_EMAIL: &str = "invitation-email";
    /// Organization slug; in the partition `slug:<slug>`.
    pub const ORGANIZATION_SLUG: &str = "organization-slug";
}

/// Patterns that request bodies are checked with.
pub(crate) mod patterns {
    pub(crate) const ORGANIZATION_SLUG: &str = "^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$";
    pub(crate) const PROJECT_KEY: &str = "^[A-Z][A-Z0-9]{1,9}$";
    pub(crate) const ROLE_NAME: &str = "^[a-z][a-z0-9-]{1,39}$";
    /// E.164: a plus sign and at most 15 digits.
    pub(crate) const PHONE: &str = r"^\+[1-9][0-9]{1,14}$";
}

#[cfg(test)]
mod tests;
