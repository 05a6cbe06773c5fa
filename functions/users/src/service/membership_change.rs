//! A change of somebody's membership: who may make it, and what it raises and tells.

use coder_core::{Failure, Fault, Problem, Result, Timestamp};
use coder_database::{Record, Transaction};
use coder_middleware::{Example, RequestContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::gift::Giver;
use super::{Snapshot, Users};
use crate::model::{Membership, MembershipStatus};
use crate::names::Check;
use crate::permissions::Rank;

/// What can be written of a membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberWrite {
    /// Names of built-in or own roles.
    #[schemars(length(min = 1, max = 5), inner(length(min = 1, max = 40)))]
    pub roles: Vec<String>,
    /// A suspended membership is there and gives nothing.
    #[serde(default)]
    pub status: MembershipStatus,
    /// When it ends by itself.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

impl MemberWrite {
    /// The writable part of a membership.
    pub fn of(membership: &Membership) -> Self {
        let Membership { roles, status, expires_at, .. } = membership.clone();
        Self { roles, status, expires_at }
    }
}

impl Example for MemberWrite {
    fn example() -> Self {
        Self { roles: vec!["member".to_owned()], status: MembershipStatus::Active, expires_at: None }
    }
}

impl Users {
    /// Changes a membership in a transaction of its organization, if the caller of the request, whose snapshot it
    /// is, may: by rank, without giving what they do not hold, and leaving an owner.
    pub async fn change_member(
        &self,
        context: &RequestContext,
        snapshot: &Snapshot,
        unit: &mut Transaction,
        before: &Record<Membership>,
        write: MemberWrite,
    ) -> Result<Record<Membership>> {
        self.check_write(snapshot, &before.data, &write)?;
        let MemberWrite { roles, status, expires_at } = write;
        let after = Membership { roles, status, expires_at, ..before.data.clone() };
        if after == before.data {
            return Ok(before.clone());
        }
        let giver = Giver::of(context)?;
        let rank = snapshot.access(self, giver.user_id).rank();
        rank.check_change(Rank::of(&before.data.roles), Rank::of(&after.roles))?;
        let patterns = snapshot.permissions.patterns_of_roles(given(&before.data, &after));
        self.check_gift(context, snapshot, snapshot.scope(), &patterns)?;
        self.check_owner_stays(snapshot.organization_id(), &before.data, Some(&after)).await?;
        let (record, changes) = unit.replace(before, after)?;
        self.raise_version(unit, &snapshot.organization)?;
        let user_id = record.data.user_id;
        let data = json!({
            "userId": user_id, "rolesBefore": before.data.roles, "rolesAfter": record.data.roles,
        });
        let suspends = record.data.status == MembershipStatus::Suspended;
        let name = if suspends && before.data.status == MembershipStatus::Active {
            "membership.suspended"
        } else {
            "membership.updated"
        };
        unit.emit_changes(name, &user_id.to_string(), data, &changes);
        Ok(record)
    }

    fn check_write(
        &self,
        snapshot: &Snapshot,
        before: &Membership,
        write: &MemberWrite,
    ) -> Result<(), Failure> {
        let mut check = Check::default();
        check.unique("/roles", "", write.roles.iter().map(String::as_str));
        let past = write.expires_at.is_some_and(|end| end <= self.now());
        if past && write.expires_at != before.expires_at {
            check.fault("/expiresAt", "too_small", "A time to come is needed.");
        }
        let roles = snapshot.permissions.roles();
        let mut faults: Vec<Fault> = Vec::new();
        for problem in
            [check.finish(), roles.check_names("/roles", &write.roles)].into_iter().filter_map(Result::err)
        {
            faults.extend(problem.errors);
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults).into()) }
    }
}

/// The roles that the change gives: the new ones, or all where it makes the membership count again or for longer.
fn given<'a>(before: &'a Membership, after: &'a Membership) -> Vec<&'a String> {
    let reinstated = before.status == MembershipStatus::Suspended && after.status == MembershipStatus::Active;
    let longer = match (before.expires_at, after.expires_at) {
        (Some(before), Some(after)) => after > before,
        (before, after) => before.is_some() && after.is_none(),
    };
    let new = |role: &&String| reinstated || longer || !before.roles.contains(role);
    after.roles.iter().filter(new).collect()
}

#[cfg(test)]
mod tests {
    use super::{Membership, MembershipStatus, given};
    use coder_core::Timestamp;
    use coder_core::id::EXAMPLE;

    #[test]
    fn a_change_gives_the_new_roles_or_all_where_it_makes_them_count() {
        let roles = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let before = Membership::new(EXAMPLE.into(), roles(&["a", "b"]), Timestamp::UNIX_EPOCH);
        let check = |before: &Membership, after: &Membership, expected: &[&str]| {
            assert_eq!(given(before, after).into_iter().cloned().collect::<Vec<_>>(), roles(expected));
        };
        check(&before, &Membership { roles: roles(&["b", "c"]), ..before.clone() }, &["c"]);
        let suspended = Membership { status: MembershipStatus::Suspended, ..before.clone() };
        check(&before, &suspended, &[]);
        check(&suspended, &before, &["a", "b"]);
        let ending = Membership { expires_at: Some(Timestamp::UNIX_EPOCH), ..before.clone() };
        check(&before, &ending, &[]);
        check(&ending, &before, &["a", "b"]);
        check(&ending, &Membership { expires_at: Some(Timestamp::MAX), ..before.clone() }, &["a", "b"]);
    }
}
