//! Rank: who may change whose membership.

use coder_core::permission::BuiltInRole;
use coder_core::{Code, Problem};

/// The standing of a membership; owner over admin over all others. Own roles give none, whatever they permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Neither admin nor owner, or no member.
    Other,
    /// Holds `admin`.
    Admin,
    /// Holds `owner`.
    Owner,
}

impl Rank {
    /// The rank of a membership with these roles.
    pub fn of(roles: &[String]) -> Self {
        let has = |role: BuiltInRole| roles.iter().any(|name| name == role.as_str());
        if has(BuiltInRole::Owner) {
            Self::Owner
        } else if has(BuiltInRole::Admin) {
            Self::Admin
        } else {
            Self::Other
        }
    }

    /// Whether somebody of this rank may change a membership from `before` to `after`: `403` if either is
    /// above, so that nobody edits a membership of higher rank and only owners make or unmake owners. A new
    /// membership has rank `Other` before, a removed one after. Leaving by oneself needs no such check.
    pub fn check_change(self, before: Self, after: Self) -> Result<(), Problem> {
        if before.max(after) <= self {
            return Ok(());
        }
        let detail = if before.max(after) == Self::Owner {
            "Only owners can make, change or remove owners."
        } else {
            "Only admins and owners can make, change or remove admins."
        };
        Err(Problem::new(Code::Forbidden, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::Rank::{Admin, Other, Owner};

    #[test]
    fn nobody_reaches_above_their_rank() {
        for (actor, before, after, allowed) in [
            (Owner, Owner, Other, true),
            (Owner, Other, Owner, true),
            (Admin, Owner, Other, false),
            (Admin, Owner, Owner, false),
            (Admin, Other, Owner, false),
            (Admin, Admin, Other, true),
            (Admin, Other, Admin, true),
            (Other, Other, Other, true),
            (Other, Admin, Other, false),
            (Other, Other, Admin, false),
        ] {
            let answer = actor.check_change(before, after);
            assert_eq!(answer.is_ok(), allowed, "{actor:?}: {before:?} to {after:?}");
            if let Err(problem) = answer {
                assert_eq!(problem.code.status(), 403);
            }
        }
    }

    #[test]
    fn only_the_built_in_names_give_rank() {
        let of = |names: &[&str]| super::Rank::of(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["member", "owner"]), Owner);
        assert_eq!(of(&["admin", "custom"]), Admin);
        assert_eq!(of(&["owners"]), Other);
        assert_eq!(of(&[]), Other);
    }
}
