//! Every night: mirrors are brought in step with what they mirror, and what never got an owner is dropped.

use coder_core::{OrganizationId, Result, UserId};
use coder_database::{Filter, Meta, Partition};
use coder_handler::{Cause, Invocation, retry_stale};
use jiff::SignedDuration;
use serde_json::json;

use super::{due, erase, unless_stale};
use crate::model::{CONTAINER, claims};
use crate::service::Users;

/// Hours that a request has to finish what it began, before what it left counts as nobody's.
const UNFINISHED_HOURS: i64 = 1;

/// Repairs mirrors, and drops slugs and identities whose organization or membership never came.
pub async fn repair(users: Users, run: Invocation) -> Result<()> {
    let cause = Cause::Job(&run);
    for (_, membership) in due(&users.memberships, &run.job, None).await? {
        let user_id = membership.data.user_id;
        let Some(organization_id) = membership.meta.organization_id else { continue };
        unless_stale(users.mirror_membership(cause, organization_id, user_id).await)?;
        if let Some(person) = users.people.find(&Partition::user(user_id), &user_id.to_string()).await? {
            unless_stale(users.mirror_person_in(cause, organization_id, &person).await)?;
        }
    }
    for (partition, mirror) in due(&users.membership_refs, &run.job, None).await? {
        if let Some(user_id) = person_of(&partition) {
            unless_stale(users.settle_membership(cause, mirror.data.member_of, user_id).await)?;
        }
    }
    drop_slugs(&users, &run).await?;
    drop_identities(&users, &run).await
}

/// Whose partition it is.
fn person_of(partition: &Partition) -> Option<UserId> {
    partition.key().0.first()?.strip_prefix("user:")?.parse().ok()
}

fn is_unfinished(users: &Users, meta: &Meta) -> bool {
    users.now().duration_since(meta.created_at) >= SignedDuration::from_hours(UNFINISHED_HOURS)
}

async fn drop_slugs(users: &Users, run: &Invocation) -> Result<()> {
    let of_slugs = Filter::eq("kind", claims::ORGANIZATION_SLUG);
    for (partition, claim) in due(&users.claims, &run.job, of_slugs).await? {
        let Ok(owner) = claim.data.owner_id.parse::<OrganizationId>() else { continue };
        let there = users.organizations.find(&Partition::organization(owner), &owner.to_string()).await?;
        if there.is_none() && is_unfinished(users, &claim.meta) {
            let mut unit = run.begin(CONTAINER, partition).without_audit();
            unit.delete(&claim)?;
            unless_stale(run.commit(unit).await)?;
        }
    }
    Ok(())
}

async fn drop_identities(users: &Users, run: &Invocation) -> Result<()> {
    let programs = Filter::In("kind".to_owned(), vec![json!("agent"), json!("service")]);
    let living = Filter::Not(Box::new(Filter::eq("status", "deleted")));
    for (_, program) in due(&users.people, &run.job, programs.and(living)).await? {
        let (Some(home), user_id) = (program.data.home_organization_id, program.id::<UserId>()?) else {
            continue;
        };
        let belongs = users.find_membership(home, user_id).await?.is_some();
        if !belongs && is_unfinished(users, &program.meta) {
            retry_stale(|| erase::identity(users, run, home, user_id)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Partition, UserId, person_of};

    #[test]
    fn only_a_persons_partition_names_a_person() {
        let id = UserId::from(coder_core::id::EXAMPLE);
        assert_eq!(person_of(&Partition::user(id)), Some(id));
        assert_eq!(person_of(&Partition::keyed("token", id)), None);
        assert_eq!(person_of(&Partition::platform()), None);
    }
}
