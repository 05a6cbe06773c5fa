//! Memberships coming and going: limits, owners, versions, events, and what goes with a member who leaves.

use coder_core::{Failure, OrganizationId, UserId};
use coder_database::{Filter, Partition, Query, Record, Transaction};
use coder_handler::{Cause, retry_stale};
use serde_json::{Value, json};

use super::Users;
use crate::model::{CONTAINER, Membership, Organization, UserStatus};
use crate::permissions::Rank;
use crate::rules::{Limit, check_owner_remains};

/// Team places, and grants, that one batch takes away; each needs an operation for its event too.
const SWEEP: u32 = 20;

/// The payload of a team place's events.
fn place_event(place: &crate::model::TeamMember) -> Value {
    json!({"teamId": place.team_id, "userId": place.user_id, "role": place.role})
}

impl Users {
    /// Adds a membership: within the limit, with its event, raising the organization's version. `via` says how the
    /// person came in. The caller settles the mirror once the transaction is committed.
    pub async fn add_member(
        &self,
        unit: &mut Transaction,
        organization: &Record<Organization>,
        membership: Membership,
        via: &str,
    ) -> Result<Record<Membership>, Failure> {
        let present = self.memberships.count(&Partition::organization(organization.id()?), None).await?;
        Limit::Members.check(&organization.data.limits, present, 1)?;
        let event = json!({"userId": membership.user_id, "roles": membership.roles, "via": via});
        let user_id = membership.user_id;
        let record = unit.create(Membership::document_id(user_id), membership)?;
        self.raise_version(unit, organization)?;
        unit.emit("membership.added", &user_id.to_string(), event);
        Ok(record)
    }

    /// Takes a membership away, unless its person is the last owner, with its event, raising the organization's
    /// version. `reason` is `left`, `removed` or `expired`. The caller settles what hangs on it once the
    /// transaction is committed.
    pub async fn remove_member(
        &self,
        unit: &mut Transaction,
        organization: &Record<Organization>,
        membership: &Record<Membership>,
        reason: &str,
    ) -> Result<(), Failure> {
        self.check_owner_stays(organization.id()?, &membership.data, None).await?;
        let user_id = membership.data.user_id;
        unit.delete(membership)?;
        self.raise_version(unit, organization)?;
        unit.emit("membership.removed", &user_id.to_string(), json!({"userId": user_id, "reason": reason}));
        Ok(())
    }

    /// `409 last_owner` if a change of this membership would leave the organization without an owner who can act.
    /// The write must raise the organization's version.
    pub async fn check_owner_stays(
        &self,
        organization_id: OrganizationId,
        before: &Membership,
        after: Option<&Membership>,
    ) -> Result<(), Failure> {
        if Rank::of(&before.roles) < Rank::Owner {
            return Ok(());
        }
        let acts = |membership: &&Membership| membership.person.status == UserStatus::Active;
        let stored = self.all_memberships(organization_id).await?;
        let stored = stored.iter().map(|record| &record.data).filter(acts);
        check_owner_remains(stored, before.user_id, after.filter(acts)).map_err(coder_core::Problem::from)?;
        Ok(())
    }

    /// Brings everything in step with a membership that was made, changed or removed: its mirror, and without a
    /// membership the person's team places and grants. Running it again is harmless.
    pub async fn settle_membership(
        &self,
        cause: Cause<'_>,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<(), Failure> {
        while retry_stale(|| self.sweep(cause, organization_id, user_id)).await? {}
        self.mirror_membership(cause, organization_id, user_id).await
    }

    /// Takes away some team places and grants of somebody who is no member; answers whether to go on.
    async fn sweep(
        &self,
        cause: Cause<'_>,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<bool, Failure> {
        let partition = Partition::organization(organization_id);
        // Read first: if the person comes back meanwhile, the write below is stale.
        let organization = self.organizations.find(&partition, &organization_id.to_string()).await?;
        let Some(organization) = organization else { return Ok(false) };
        if self.find_membership(organization_id, user_id).await?.is_some() {
            return Ok(false);
        }
        let theirs = |field: &str| Query::new(Filter::eq(field, user_id.to_string())).limit(SWEEP);
        let (places, _) = self.team_members.page(&partition, &theirs("userId")).await?;
        let (grants, _) = self.grants.page(&partition, &theirs("subject.id")).await?;
        if places.is_empty() && grants.is_empty() {
            return Ok(false);
        }
        // Follows from the removal, which has its entry.
        let mut unit = cause.begin(CONTAINER, partition).without_audit();
        for place in &places {
            unit.delete(place)?;
            unit.emit("team-member.removed", &place.meta.id, place_event(&place.data));
        }
        for grant in &grants {
            unit.delete(grant)?;
            unit.emit("grant.removed", &grant.meta.id, super::gift::grant_event(&grant.meta.id, &grant.data));
        }
        self.raise_version(&mut unit, &organization)?;
        cause.commit(unit).await?;
        Ok(true)
    }
}
