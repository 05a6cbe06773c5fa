//! What decides permissions in one organization, held in memory and indexed for questions about one person.

use std::collections::{HashMap, HashSet};

use coder_core::{OrganizationId, Pattern, Permission as _, ProjectId, Scope, TeamId, Timestamp, UserId};

use super::{Catalogue, RoleGraph};
use crate::catalogue::TeamUpdate;
use crate::model::{Grant, GrantId, Granted, Membership, Organization, Role, Subject, TeamMember, TeamRole};
use crate::tree::TeamTree;

/// What a snapshot is made from. For questions about one person, that person's membership and team memberships
/// are enough; roles, grants, teams and projects must be all there are.
#[derive(Debug, Clone, Default)]
pub struct SnapshotParts {
    /// Memberships.
    pub memberships: Vec<Membership>,
    /// The organization's own roles.
    pub roles: Vec<Role>,
    /// Grants.
    pub grants: Vec<(GrantId, Grant)>,
    /// Teams and their parents.
    pub teams: Vec<(TeamId, Option<TeamId>)>,
    /// Who is in which team.
    pub team_members: Vec<TeamMember>,
    /// Projects and their teams.
    pub projects: Vec<(ProjectId, Option<TeamId>)>,
}

/// What decides permissions in one organization at one `permissionVersion`.
#[derive(Debug, Clone)]
pub struct OrganizationSnapshot {
    organization_id: OrganizationId,
    permission_version: u64,
    memberships: HashMap<UserId, Membership>,
    roles: RoleGraph,
    teams: TeamTree,
    teams_of: HashMap<UserId, Vec<TeamId>>,
    leads: HashSet<(TeamId, UserId)>,
    lead_permissions: Vec<Pattern>,
    projects: HashMap<ProjectId, Option<TeamId>>,
    grants: HashMap<Scope, Vec<(GrantId, Grant)>>,
}

impl OrganizationSnapshot {
    /// Indexes the parts; the built-in roles come from the catalogue and the organization's settings.
    pub fn new(
        organization_id: OrganizationId,
        organization: &Organization,
        catalogue: &Catalogue,
        parts: SnapshotParts,
    ) -> Self {
        let mut teams_of: HashMap<_, Vec<_>> = HashMap::new();
        let mut leads = HashSet::new();
        for place in parts.team_members {
            if place.role == TeamRole::Lead {
                leads.insert((place.team_id, place.user_id));
            }
            teams_of.entry(place.user_id).or_default().push(place.team_id);
        }
        let mut grants: HashMap<_, Vec<_>> = HashMap::new();
        for (id, grant) in parts.grants {
            grants.entry(grant.scope).or_default().push((id, grant));
        }
        let built_in = catalogue.built_in_roles(&organization.settings);
        Self {
            organization_id,
            permission_version: organization.permission_version,
            memberships: parts.memberships.into_iter().map(|one| (one.user_id, one)).collect(),
            roles: RoleGraph::new(built_in.into_iter().chain(parts.roles)),
            teams: parts.teams.into_iter().collect(),
            teams_of,
            leads,
            lead_permissions: Pattern::parse(TeamUpdate::DECLARATION.name).into_iter().collect(),
            projects: parts.projects.into_iter().collect(),
            grants,
        }
    }

    /// The organization.
    pub fn organization_id(&self) -> OrganizationId {
        self.organization_id
    }

    /// The version of what is in here.
    pub fn permission_version(&self) -> u64 {
        self.permission_version
    }

    /// The roles, the built-in ones among them.
    pub fn roles(&self) -> &RoleGraph {
        &self.roles
    }

    /// The teams.
    pub fn teams(&self) -> &TeamTree {
        &self.teams
    }

    /// A person's membership, whether it counts or not.
    pub fn membership(&self, user_id: UserId) -> Option<&Membership> {
        self.memberships.get(&user_id)
    }

    /// The scope and those above it, nearest first: project, its team, parent teams, organization. `None` if the
    /// organization has no such scope.
    pub fn ancestors(&self, scope: Scope) -> Option<Vec<Scope>> {
        let mut scopes = Vec::with_capacity(crate::tree::MAX_DEPTH + 2);
        let team = match scope {
            Scope::Organization(id) => {
                return (id == self.organization_id).then(|| vec![scope]);
            }
            Scope::Team(team) => self.teams.contains(team).then_some(Some(team))?,
            Scope::Project(project) => {
                scopes.push(scope);
                *self.projects.get(&project)?
            }
        };
        scopes.extend(team.into_iter().flat_map(|team| self.teams.lineage(team)).map(Scope::Team));
        scopes.push(Scope::Organization(self.organization_id));
        Some(scopes)
    }

    /// Every pattern in what is granted, inherited ones included.
    pub fn patterns_in(&self, granted: &Granted) -> Vec<Pattern> {
        match granted {
            Granted::Permissions(patterns) => patterns.clone(),
            Granted::Role(name) => self.patterns_of_roles([name]),
        }
    }

    /// Every pattern in these roles, inherited ones included.
    pub fn patterns_of_roles<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Vec<Pattern> {
        let uses = names.into_iter().flat_map(|name| self.roles.closure(name));
        uses.flat_map(|one| one.role.permissions.iter().cloned()).collect()
    }

    /// What a new member of a team gets with it: the grants to the team and to those above it that count now, by
    /// scope.
    pub fn given_by_team(&self, team: TeamId, now: Timestamp) -> Vec<(Scope, Vec<Pattern>)> {
        let lineage: Vec<TeamId> = self.teams.lineage(team).collect();
        let to_team = |grant: &Grant| matches!(grant.subject, Subject::Team(team) if lineage.contains(&team));
        let grants = self.grants.values().flatten().map(|(_, grant)| grant);
        let counting = grants.filter(|grant| grant.is_active(now) && to_team(grant));
        counting.map(|grant| (grant.scope, self.patterns_in(&grant.granted))).collect()
    }

    /// What the grants at a team and at those above it give there to whoever has them: what comes to hold in
    /// everything that is put below the team.
    pub fn given_at_team(&self, team: TeamId, now: Timestamp) -> Vec<Pattern> {
        let grants = self.teams.lineage(team).flat_map(|team| self.grants_at(Scope::Team(team)));
        let counting = grants.filter(|(_, grant)| grant.is_active(now));
        counting.flat_map(|(_, grant)| self.patterns_in(&grant.granted)).collect()
    }

    /// What a person holds at a team and below it as its lead.
    pub(super) fn held_as_lead(&self, team: TeamId, user_id: UserId) -> &[Pattern] {
        if self.leads.contains(&(team, user_id)) { &self.lead_permissions } else { &[] }
    }

    /// The grants at exactly this scope.
    pub(super) fn grants_at(&self, scope: Scope) -> &[(GrantId, Grant)] {
        self.grants.get(&scope).map_or(&[], Vec::as_slice)
    }

    /// The teams that have a person, directly or through a team below.
    pub(super) fn teams_of(&self, user_id: UserId) -> Vec<TeamId> {
        let direct = self.teams_of.get(&user_id).into_iter().flatten();
        let mut teams: Vec<TeamId> = direct.flat_map(|team| self.teams.lineage(*team)).collect();
        teams.sort_unstable();
        teams.dedup();
        teams
    }
}
