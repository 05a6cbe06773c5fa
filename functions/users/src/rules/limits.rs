//! The limits of an organization.

use coder_core::{Code, Problem};

use crate::model::OrganizationLimits;

/// A limit by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Memberships.
    Members,
    /// Teams.
    Teams,
    /// Members of one team.
    TeamMembers,
    /// Projects.
    Projects,
    /// Invitations that wait for an answer.
    PendingInvitations,
}

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The limit `{}` is {most}; remove some, or ask the operator to raise it.", limit.as_str())]
pub struct LimitReached {
    /// Which.
    pub limit: Limit,
    /// How many there may be.
    pub most: u32,
}

impl From<LimitReached> for Problem {
    fn from(error: LimitReached) -> Self {
        Self::new(Code::LimitReached, error.to_string())
    }
}

impl Limit {
    /// The name, as `limits` of the organization has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Teams => "teams",
            Self::TeamMembers => "teamMembers",
            Self::Projects => "projects",
            Self::PendingInvitations => "pendingInvitations",
        }
    }

    /// How many there may be.
    pub fn most(self, limits: &OrganizationLimits) -> u32 {
        match self {
            Self::Members => limits.members,
            Self::Teams => limits.teams,
            Self::TeamMembers => limits.team_members,
            Self::Projects => limits.projects,
            Self::PendingInvitations => limits.pending_invitations,
        }
    }

    /// Whether `more` can be added to the `present` ones.
    pub fn check(self, limits: &OrganizationLimits, present: usize, more: usize) -> Result<(), LimitReached> {
        let most = self.most(limits);
        let fits = u32::try_from(present.saturating_add(more)).is_ok_and(|wanted| wanted <= most);
        if fits { Ok(()) } else { Err(LimitReached { limit: self, most }) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, OrganizationLimits, Problem};

    #[test]
    fn the_last_place_can_be_taken_and_the_limit_is_named() {
        let limits = OrganizationLimits { teams: 3, ..OrganizationLimits::default() };
        assert_eq!(Limit::Teams.check(&limits, 2, 1), Ok(()));
        for (present, more) in [(3, 1), (2, 2), (usize::MAX, 1)] {
            let problem = Problem::from(Limit::Teams.check(&limits, present, more).unwrap_err());
            assert_eq!((problem.code.as_str(), problem.code.status()), ("limit_reached", 409));
            assert!(problem.detail.contains("`teams` is 3"), "{}", problem.detail);
        }
        assert_eq!(Limit::PendingInvitations.check(&limits, 50, 50), Ok(()));
    }

    #[test]
    fn names_are_those_of_the_document() {
        let document = serde_json::to_value(OrganizationLimits::default()).unwrap();
        for limit in
            [Limit::Members, Limit::Teams, Limit::TeamMembers, Limit::Projects, Limit::PendingInvitations]
        {
            assert_eq!(document[limit.as_str()], limit.most(&OrganizationLimits::default()));
        }
    }
}
