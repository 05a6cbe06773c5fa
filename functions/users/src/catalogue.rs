//! The permissions of this group, each with the least of the built-in roles that holds it.

coder_core::permissions! {
    PersonRead = "users.person.read", Viewer, "See the people of the organization.";
    AgentCreate = "users.agent.create", Admin, "Add an agent or service identity.";
    AgentUpdate = "users.agent.update", Admin, "Change an agent or service identity.";
    AgentDelete = "users.agent.delete", Admin, "Remove an agent or service identity.";
    CompetencyVerify = "users.competency.verify", Admin, "Confirm a person's skill.";
    OrganizationRead = "users.organization.read", Viewer, "See the organization.";
    OrganizationUpdate = "users.organization.update", Admin, "Change the organization and its settings.";
    OrganizationDelete = "users.organization.delete", Owner, "Delete and restore the organization.";
    DomainCreate = "users.domain.create", Admin, "Add an e-mail domain.";
    DomainVerify = "users.domain.verify", Admin, "Prove that an e-mail domain is the organization's.";
    DomainDelete = "users.domain.delete", Admin, "Remove an e-mail domain.";
    MemberRead = "users.member.read", Viewer, "List memberships and see members' e-mail addresses.";
    MemberUpdate = "users.member.update", Admin, "Change a member's roles, suspend and reinstate.";
    MemberDelete = "users.member.delete", Admin, "Remove a member.";
    TeamRead = "users.team.read", Viewer, "See teams and who is in them.";
    TeamCreate = "users.team.create", Member, "Create a team.";
    TeamUpdate = "users.team.update", Admin, "Change a team and who is in it.";
    TeamDelete = "users.team.delete", Admin, "Delete a team.";
    ProjectRead = "users.project.read", Viewer, "See projects.";
    ProjectCreate = "users.project.create", Member, "Create a project.";
    ProjectUpdate = "users.project.update", Member, "Change, archive and restore a project.";
    ProjectDelete = "users.project.delete", Admin, "Delete an archived project.";
    RoleRead = "users.role.read", Viewer, "See roles and the permission catalogue.";
    RoleCreate = "users.role.create", Admin, "Create a role.";
    RoleUpdate = "users.role.update", Admin, "Change a role.";
    RoleDelete = "users.role.delete", Admin, "Delete a role that nobody uses.";
    GrantRead = "users.grant.read", Viewer, "See grants and other people's effective permissions.";
    GrantCreate = "users.grant.create", Admin, "Grant permissions at a scope.";
    GrantDelete = "users.grant.delete", Admin, "Take a grant back.";
    InvitationRead = "users.invitation.read", Viewer, "See invitations.";
    InvitationCreate = "users.invitation.create", Admin, "Invite people, and send an invitation again.";
    InvitationDelete = "users.invitation.delete", Admin, "Revoke an invitation.";
}

#[cfg(test)]
mod tests {
    use super::PERMISSIONS;
    use coder_core::Pattern;
    use coder_core::permission::BuiltInRole;

    #[test]
    fn names_are_unique_literals_of_this_group_and_every_read_is_a_viewers() {
        for declaration in PERMISSIONS {
            let name = declaration.name;
            assert!(
                Pattern::parse(name).is_some() && !name.contains('*') && name.starts_with("users."),
                "{name}"
            );
            assert_eq!(PERMISSIONS.iter().filter(|other| other.name == name).count(), 1, "{name}");
            let reads = name.rsplit('.').next() == Some("read");
            assert_eq!(declaration.held_by == BuiltInRole::Viewer, reads, "{name}");
        }
        let of = |role| PERMISSIONS.iter().filter(|p| p.held_by == role).map(|p| p.name).collect::<Vec<_>>();
        assert_eq!(of(BuiltInRole::Owner), ["users.organization.delete"]);
        assert_eq!(
            of(BuiltInRole::Member),
            ["users.team.create", "users.project.create", "users.project.update"]
        );
    }
}
