//! A person's memberships, read from the truth: the mirrors only say where to look.

use coder_core::{OrganizationId, Result, Timestamp, UserId};
use coder_database::{Partition, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Users;
use crate::model::{
    Membership, MembershipStatus, Organization, OrganizationKind, OrganizationStatus, User, UserKind,
    UserStatus,
};
use crate::permissions::Rank;

/// A membership with its organization.
#[derive(Debug, Clone)]
pub struct Place {
    /// The organization.
    pub organization: Record<Organization>,
    /// The membership.
    pub membership: Record<Membership>,
}

impl Place {
    /// The organization's id.
    pub fn organization_id(&self) -> Result<OrganizationId> {
        self.organization.id()
    }

    /// Whether the membership counts, in an organization that is in use.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.membership.data.is_active(now) && self.organization.data.status == OrganizationStatus::Active
    }
}

/// Standing of a membership, as other groups are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RankName {
    /// Holds `owner`.
    Owner,
    /// Holds `admin`.
    Admin,
    /// Neither.
    Other,
}

impl From<Rank> for RankName {
    fn from(rank: Rank) -> Self {
        match rank {
            Rank::Owner => Self::Owner,
            Rank::Admin => Self::Admin,
            Rank::Other => Self::Other,
        }
    }
}

/// A membership that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MembershipSummary {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its short name.
    pub slug: String,
    /// One person's, or a company's.
    pub kind: OrganizationKind,
    /// The person's roles there.
    pub roles: Vec<String>,
    /// The person's rank there, from the built-in roles.
    pub rank: RankName,
    /// Always `active`.
    pub status: MembershipStatus,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub joined_at: Timestamp,
    /// Whether a sign-in that names no organization is for this one: the home of an agent, else what the person
    /// joined first.
    pub is_default: bool,
}

/// A person as the `auth` group needs to know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryEntry {
    /// The person.
    pub user_id: UserId,
    /// The name that others see.
    pub display_name: String,
    /// The address; null for agents and services.
    pub email: Option<String>,
    /// What kind of identity.
    pub kind: UserKind,
    /// Where the identity is in its life.
    pub status: UserStatus,
    /// The memberships that count, the first joined one first.
    pub memberships: Vec<MembershipSummary>,
}

impl Users {
    /// Every membership of a person, the first joined one first, whether it counts or not.
    pub async fn places(&self, user_id: UserId) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for organization_id in self.mirrored_organizations(user_id).await? {
            let partition = Partition::organization(organization_id);
            // The organization first: what is written under its tag then rests on a membership no older.
            let organization = self.organizations.find(&partition, &organization_id.to_string()).await?;
            let membership = self.find_membership(organization_id, user_id).await?;
            if let (Some(organization), Some(membership)) = (organization, membership) {
                places.push(Place { organization, membership });
            }
        }
        places.sort_by(|one, other| {
            let key = |place: &Place| (place.membership.data.joined_at, place.organization.meta.id.clone());
            key(one).cmp(&key(other))
        });
        Ok(places)
    }

    /// What the `auth` group needs at sign-in.
    pub async fn directory_entry(&self, person: &Record<User>) -> Result<DirectoryEntry> {
        let user_id: UserId = person.id()?;
        let places = self.places(user_id).await?;
        let mut memberships: Vec<MembershipSummary> =
            places.iter().filter(|place| place.counts(self.now())).map(summary).collect::<Result<_>>()?;
        let home = person.data.home_organization_id;
        let default = memberships.iter().position(|one| Some(one.organization_id) == home).unwrap_or(0);
        if let Some(default) = memberships.get_mut(default) {
            default.is_default = true;
        }
        let User { display_name, email, kind, status, .. } = person.data.clone();
        Ok(DirectoryEntry { user_id, display_name, email, kind, status, memberships })
    }
}

fn summary(place: &Place) -> Result<MembershipSummary> {
    let (organization, membership) = (&place.organization.data, &place.membership.data);
    Ok(MembershipSummary {
        organization_id: place.organization_id()?,
        name: organization.name.clone(),
        slug: organization.slug.clone(),
        kind: organization.kind,
        roles: membership.roles.clone(),
        rank: Rank::of(&membership.roles).into(),
        status: membership.status,
        joined_at: membership.joined_at,
        is_default: false,
    })
}
