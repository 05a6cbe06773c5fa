//! Reading what decides permissions in one organization.

use coder_core::{Failure, OrganizationId, ProjectId, Scope, TeamId, UserId};
use coder_database::{Filter, Partition, Record};

use super::{MAX_GRANTS, MAX_ROLES, Users};
use crate::model::{GrantId, Membership, Organization, OrganizationStatus};
use crate::permissions::{Access, OrganizationSnapshot, SnapshotParts};
use crate::tree::TeamTree;

/// An organization and what decides permissions in it. The document was read first, so that a write under its tag
/// fails if anything here has changed since.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The organization's document.
    pub organization: Record<Organization>,
    /// Answers who may do what.
    pub permissions: OrganizationSnapshot,
}

impl Snapshot {
    /// The organization.
    pub fn organization_id(&self) -> OrganizationId {
        self.permissions.organization_id()
    }

    /// The scope of the whole organization.
    pub fn scope(&self) -> Scope {
        Scope::Organization(self.organization_id())
    }

    /// What a person of this snapshot may do now.
    pub fn access(&self, users: &Users, user_id: UserId) -> Access<'_> {
        self.permissions.access(user_id, users.now())
    }
}

impl Users {
    /// What decides the permissions of one person at the organization, at any team, and at the projects among
    /// `scopes`; projects that are not named there are unknown to the snapshot. `404` without an organization.
    pub async fn snapshot(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
        scopes: &[Scope],
    ) -> Result<Snapshot, Failure> {
        let organization = self.organization(organization_id).await?;
        let partition = Partition::organization(organization_id);
        let theirs = Filter::eq("userId", user_id.to_string());
        let membership = self.find_membership(organization_id, user_id).await?;
        let places = self.team_members.all(&partition, theirs, usize::MAX).await?;
        let mut parts = self.common_parts(&partition).await?;
        parts.memberships = membership.into_iter().map(|record| record.data).collect();
        parts.team_members = places.into_iter().map(|record| record.data).collect();
        for scope in scopes {
            let Scope::Project(id) = scope else { continue };
            if let Some(project) = self.projects.find(&partition, &id.to_string()).await? {
                parts.projects.push((*id, project.data.team_id));
            }
        }
        Ok(self.snapshot_of(organization_id, organization, parts))
    }

    /// What decides the permissions of everybody everywhere in the organization. Reads every membership, team
    /// place and project: for writes that touch many at once.
    pub async fn whole_snapshot(&self, organization_id: OrganizationId) -> Result<Snapshot, Failure> {
        let organization = self.organization(organization_id).await?;
        let partition = Partition::organization(organization_id);
        let memberships: Vec<Membership> =
            self.all_memberships(organization_id).await?.into_iter().map(|record| record.data).collect();
        let places = self.team_members.all(&partition, None, usize::MAX).await?;
        let mut parts = self.common_parts(&partition).await?;
        parts.memberships = memberships;
        parts.team_members = places.into_iter().map(|record| record.data).collect();
        for project in self.projects.all(&partition, None, usize::MAX).await? {
            parts.projects.push((project.id::<ProjectId>()?, project.data.team_id));
        }
        Ok(self.snapshot_of(organization_id, organization, parts))
    }

    /// The roles of the organization, with nothing of who holds them.
    pub async fn role_snapshot(&self, organization_id: OrganizationId) -> Result<Snapshot, Failure> {
        let organization = self.organization(organization_id).await?;
        let parts = self.common_parts(&Partition::organization(organization_id)).await?;
        Ok(self.snapshot_of(organization_id, organization, parts))
    }

    /// Roles, grants and teams.
    async fn common_parts(&self, partition: &Partition) -> Result<SnapshotParts, Failure> {
        let roles = self.roles.all(partition, None, 2 * MAX_ROLES).await?;
        let mut parts = SnapshotParts {
            roles: roles.into_iter().map(|record| record.data).collect(),
            ..SnapshotParts::default()
        };
        for grant in self.grants.all(partition, None, 2 * MAX_GRANTS).await? {
            parts.grants.push((grant.id::<GrantId>()?, grant.data));
        }
        parts.teams = self.parents(partition).await?;
        Ok(parts)
    }

    /// The hierarchy of the organization's teams.
    pub async fn team_tree(&self, organization_id: OrganizationId) -> Result<TeamTree, Failure> {
        Ok(self.parents(&Partition::organization(organization_id)).await?.into_iter().collect())
    }

    /// Every team and its parent.
    async fn parents(&self, partition: &Partition) -> Result<Vec<(TeamId, Option<TeamId>)>, Failure> {
        let teams = self.teams.all(partition, None, usize::MAX).await?;
        teams.iter().map(|team| Ok((team.id()?, team.data.parent_team_id))).collect()
    }

    fn snapshot_of(
        &self,
        organization_id: OrganizationId,
        organization: Record<Organization>,
        mut parts: SnapshotParts,
    ) -> Snapshot {
        // In a suspended organization nobody may do anything.
        if organization.data.status == OrganizationStatus::Suspended {
            parts.memberships.clear();
        }
        let permissions =
            OrganizationSnapshot::new(organization_id, &organization.data, &self.catalogue, parts);
        Snapshot { organization, permissions }
    }
}
