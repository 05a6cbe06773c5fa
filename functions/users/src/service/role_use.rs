//! Where a role is in use.

use std::fmt;

use coder_core::{Failure, Result};
use coder_database::{Filter, Partition, Record};

use super::{MAX_GRANTS, MAX_ROLES, Users};
use crate::model::{InvitationStatus, Organization};

/// How often a role is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoleUses {
    /// Memberships that have it.
    pub members: usize,
    /// Roles that inherit it.
    pub roles: usize,
    /// Grants of it.
    pub grants: usize,
    /// Pending invitations that offer it.
    pub invitations: usize,
    /// Whether new members get it.
    pub default_role: bool,
}

impl RoleUses {
    /// Whether it is used at all.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl fmt::Display for RoleUses {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { members, roles, grants, invitations, default_role } = self;
        write!(out, "{members} members, {roles} roles, {grants} grants, {invitations} invitations")?;
        if *default_role { out.write_str(", and it is the default role") } else { Ok(()) }
    }
}

impl Users {
    /// Counts where a role is used.
    pub async fn uses_of_role(
        &self,
        organization: &Record<Organization>,
        name: &str,
    ) -> Result<RoleUses, Failure> {
        let partition = Partition::organization(organization.id()?);
        let having = |field: &str| Filter::ArrayContains(field.to_owned(), name.into());
        let invitations =
            self.invitations.all(&partition, Filter::eq("status", "pending"), usize::MAX).await?;
        let offers = invitations.iter().filter(|invitation| {
            let invitation = &invitation.data;
            let named = |role: &String| role == name;
            invitation.status == InvitationStatus::Pending
                && (invitation.roles.iter().any(named)
                    || invitation.project_grants.iter().any(|grant| named(&grant.role)))
        });
        Ok(RoleUses {
            members: self.memberships.all(&partition, having("roles"), usize::MAX).await?.len(),
            roles: self.roles.all(&partition, having("inherits"), 2 * MAX_ROLES).await?.len(),
            grants: self.grants.all(&partition, Filter::eq("role", name), 2 * MAX_GRANTS).await?.len(),
            invitations: offers.count(),
            default_role: organization.data.settings.default_role == name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RoleUses;

    #[test]
    fn says_how_often() {
        assert!(!RoleUses::default().any());
        let uses = RoleUses { members: 2, default_role: true, ..RoleUses::default() };
        assert!(uses.any());
        assert_eq!(
            uses.to_string(),
            "2 members, 0 roles, 0 grants, 0 invitations, and it is the default role"
        );
    }
}
