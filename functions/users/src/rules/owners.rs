//! An organization always has an owner.

use coder_core::permission::BuiltInRole;
use coder_core::{Code, Problem, UserId};

use crate::model::{Membership, MembershipStatus};

/// Nobody would own the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("This would leave the organization without an active owner; make somebody else an owner first.")]
pub struct LastOwner;

impl From<LastOwner> for Problem {
    fn from(error: LastOwner) -> Self {
        Self::new(Code::LastOwner, error.to_string())
    }
}

/// Whether an owner remains when the membership of `changed` becomes `after` (`None`: it goes). `memberships` are
/// those that are stored, owners at least. The write must be guarded by the organization document's tag.
///
/// A membership that ends by itself makes no lasting owner: nobody would be there to stop it.
pub fn check_owner_remains<'a>(
    memberships: impl IntoIterator<Item = &'a Membership>,
    changed: UserId,
    after: Option<&'a Membership>,
) -> Result<(), LastOwner> {
    let others = memberships.into_iter().filter(|membership| membership.user_id != changed);
    if others.chain(after).any(is_lasting_owner) { Ok(()) } else { Err(LastOwner) }
}

fn is_lasting_owner(membership: &Membership) -> bool {
    membership.status == MembershipStatus::Active
        && membership.expires_at.is_none()
        && membership.roles.iter().any(|role| role == BuiltInRole::Owner.as_str())
}

#[cfg(test)]
mod tests {
    use coder_core::id::Uuid;
    use coder_core::{Problem, Timestamp, UserId};

    use super::{LastOwner, check_owner_remains};
    use crate::model::{Membership, MembershipStatus};

    fn membership(n: u128, role: &str) -> Membership {
        Membership::new(UserId::from(Uuid::from_u128(n)), vec![role.to_owned()], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn of_two_owners_one_may_leave_and_then_not_the_other() {
        let (one, two, member) = (membership(1, "owner"), membership(2, "owner"), membership(3, "member"));
        let stored = [one.clone(), two.clone(), member.clone()];
        assert_eq!(check_owner_remains(&stored, one.user_id, None), Ok(()));
        let stored = [two.clone(), member.clone()];
        assert_eq!(check_owner_remains(&stored, two.user_id, None), Err(LastOwner));
        assert_eq!(check_owner_remains(&stored, member.user_id, None), Ok(()));
        let problem = Problem::from(LastOwner);
        assert_eq!((problem.code.as_str(), problem.code.status()), ("last_owner", 409));
    }

    #[test]
    fn only_a_lasting_active_owner_counts() {
        type Edit = fn(&mut Membership);
        let owner = membership(1, "owner");
        let cases: [(&str, Edit, bool); 5] = [
            ("unchanged", |_| (), true),
            ("with another role too", |one| one.roles.push("member".into()), true),
            ("demoted", |one| one.roles = vec!["admin".into()], false),
            ("suspended", |one| one.status = MembershipStatus::Suspended, false),
            ("ending by itself", |one| one.expires_at = Some(Timestamp::MAX), false),
        ];
        for (name, change, remains) in cases {
            let mut after = owner.clone();
            change(&mut after);
            let answer = check_owner_remains([&owner], owner.user_id, Some(&after));
            assert_eq!(answer.is_ok(), remains, "{name}");
            // The same state in somebody else's membership lets this owner go, or not.
            after.user_id = membership(2, "").user_id;
            assert_eq!(check_owner_remains([&owner, &after], owner.user_id, None).is_ok(), remains, "{name}");
        }
    }
}
