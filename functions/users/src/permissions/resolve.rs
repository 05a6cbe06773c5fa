//! Effective permissions: what one person holds at a scope, and where each permission comes from.

use coder_core::{Pattern, PermissionSet, Scope, TeamId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Catalogue, OrganizationSnapshot, Rank, RoleUse};
use crate::model::{Grant, GrantId, Granted, Membership, Subject};

/// Where a permission comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The membership or the grant.
    #[serde(flatten)]
    pub origin: Origin,
    /// The role that has the permission; null for a grant of single permissions.
    pub role: Option<String>,
    /// The way to that role where it is inherited: the held role first.
    pub inherited_through: Vec<String>,
}

/// What gives a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Origin {
    /// The person's membership.
    Membership,
    /// A grant.
    Grant {
        /// The grant.
        grant_id: GrantId,
        /// Where it holds.
        scope: Scope,
        /// The team that has it; null if the person has it.
        team_id: Option<TeamId>,
    },
    /// The person leads the team, or one above it.
    Lead {
        /// The team that is led.
        team_id: TeamId,
    },
}

/// A permission that somebody holds, and every reason why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectivePermission {
    /// Its name.
    pub permission: &'static str,
    /// Where it comes from; one at least.
    pub sources: Vec<Source>,
}

/// One person in one organization at one time.
#[derive(Debug, Clone)]
pub struct Access<'a> {
    snapshot: &'a OrganizationSnapshot,
    user_id: UserId,
    now: Timestamp,
    /// The membership, if it counts.
    membership: Option<&'a Membership>,
    teams: Vec<TeamId>,
}

impl OrganizationSnapshot {
    /// What this person may do here. Without a membership that counts it is nothing at all: grants add to a
    /// membership, they do not stand for one.
    pub fn access(&self, user_id: UserId, now: Timestamp) -> Access<'_> {
        let membership = self.membership(user_id).filter(|membership| membership.is_active(now));
        Access { snapshot: self, user_id, now, membership, teams: self.teams_of(user_id) }
    }
}

impl<'a> Access<'a> {
    /// Whether the person has a membership that counts.
    pub fn is_member(&self) -> bool {
        self.membership.is_some()
    }

    /// The person's rank.
    pub fn rank(&self) -> Rank {
        self.membership.map_or(Rank::Other, |membership| Rank::of(&membership.roles))
    }

    /// What the person holds at a scope. `None` if the organization has no such scope.
    pub fn at(&self, scope: Scope) -> Option<Effective<'a>> {
        let scopes = self.snapshot.ancestors(scope)?;
        let mut effective = Effective::default();
        let Some(membership) = self.membership else { return Some(effective) };
        for role in &membership.roles {
            effective.add_role(self.snapshot, Origin::Membership, role);
        }
        for scope in scopes {
            if let Scope::Team(team_id) = scope {
                effective.add(
                    Origin::Lead { team_id },
                    None,
                    self.snapshot.held_as_lead(team_id, self.user_id),
                );
            }
            for (grant_id, grant) in
                self.snapshot.grants_at(scope).iter().filter(|(_, grant)| self.holds(grant))
            {
                let team_id = if let Subject::Team(team) = grant.subject { Some(team) } else { None };
                let origin = Origin::Grant { grant_id: *grant_id, scope, team_id };
                match &grant.granted {
                    Granted::Role(name) => effective.add_role(self.snapshot, origin, name),
                    Granted::Permissions(patterns) => effective.add(origin, None, patterns),
                }
            }
        }
        Some(effective)
    }

    /// What the person holds in the whole organization.
    pub fn at_organization(&self) -> Effective<'a> {
        self.at(Scope::Organization(self.snapshot.organization_id())).unwrap_or_default()
    }

    /// Whether the person has the grant now.
    fn holds(&self, grant: &Grant) -> bool {
        let theirs = match grant.subject {
            Subject::User(user_id) | Subject::Agent(user_id) => user_id == self.user_id,
            Subject::Team(team) => self.teams.binary_search(&team).is_ok(),
        };
        theirs && grant.is_active(self.now)
    }
}

/// What one person holds at one scope: the union of what each source gives.
#[derive(Debug, Clone, Default)]
pub struct Effective<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone)]
struct Part<'a> {
    origin: Origin,
    role: Option<RoleUse<'a>>,
    patterns: &'a [Pattern],
}

impl<'a> Effective<'a> {
    /// Whether the permission is held.
    pub fn allows(&self, permission: &str) -> bool {
        self.parts.iter().any(|part| part.gives(permission))
    }

    /// Why the permission is held; empty if it is not.
    pub fn sources_of(&self, permission: &str) -> Vec<Source> {
        self.parts.iter().filter(|part| part.gives(permission)).map(Part::source).collect()
    }

    /// Every permission of the catalogue that is held, sorted by name.
    pub fn explain(&self, catalogue: &Catalogue) -> Vec<EffectivePermission> {
        let explained = catalogue
            .names()
            .map(|permission| EffectivePermission { permission, sources: self.sources_of(permission) });
        explained.filter(|one| !one.sources.is_empty()).collect()
    }

    /// The patterns that are held, for those who enforce them.
    pub fn to_set(&self) -> PermissionSet {
        self.parts.iter().flat_map(|part| part.patterns.iter().cloned()).collect()
    }

    fn add_role(&mut self, snapshot: &'a OrganizationSnapshot, origin: Origin, name: &str) {
        for one in snapshot.roles().closure(name) {
            let patterns = &one.role.permissions;
            self.add(origin, Some(one), patterns);
        }
    }

    fn add(&mut self, origin: Origin, role: Option<RoleUse<'a>>, patterns: &'a [Pattern]) {
        if !patterns.is_empty() {
            self.parts.push(Part { origin, role, patterns });
        }
    }
}

impl Part<'_> {
    fn gives(&self, permission: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(permission))
    }

    fn source(&self) -> Source {
        let through = self.role.iter().flat_map(|one| &one.through);
        Source {
            origin: self.origin,
            role: self.role.as_ref().map(|one| one.role.name.clone()),
            inherited_through: through.map(|name| (*name).to_owned()).collect(),
        }
    }
}
