//! Mirrors across partitions. A membership is beside its organization and mirrored beside its person; a profile is
//! beside its person and mirrored in each membership. Every function here brings a mirror in step with the truth,
//! whatever it was, so that running one again is harmless.

use coder_core::{Failure, OrganizationId, UserId};
use coder_database::{Partition, Record};
use coder_handler::{Cause, retry_stale};

use super::Users;
use crate::model::{CONTAINER, MembershipRef, PersonMirror, User};

/// Notes that a mirror could not be written; the consumer of the event, or the nightly repair, writes it.
pub fn later(outcome: Result<(), Failure>) {
    if let Err(failure) = outcome {
        tracing::warn!(cause = %failure, "a mirror is not in step yet");
    }
}

impl Users {
    /// The organizations that a person's mirrors name.
    pub async fn mirrored_organizations(&self, user_id: UserId) -> Result<Vec<OrganizationId>, Failure> {
        let refs = self.membership_refs.all(&Partition::user(user_id), None, usize::MAX).await?;
        Ok(refs.into_iter().map(|record| record.data.member_of).collect())
    }

    /// Brings the mirror of a membership in step with it.
    pub async fn mirror_membership(
        &self,
        cause: Cause<'_>,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<(), Failure> {
        let partition = Partition::user(user_id);
        let id = MembershipRef::document_id(organization_id);
        let before = self.membership_refs.find(&partition, &id).await?;
        let after = self.find_membership(organization_id, user_id).await?;
        let after = after.map(|membership| membership.data.mirror(organization_id));
        let mut unit = cause.begin(CONTAINER, partition).without_audit();
        match (before, after) {
            (Some(before), Some(after)) if before.data == after => return Ok(()),
            (_, Some(after)) => {
                unit.mirror(id, after)?;
            }
            (Some(before), None) => unit.delete(&before)?,
            (None, None) => return Ok(()),
        }
        cause.commit(unit).await
    }

    /// Brings what memberships show of a person in step with the profile.
    pub async fn mirror_person(&self, cause: Cause<'_>, user_id: UserId) -> Result<(), Failure> {
        let person = self.person(user_id).await?;
        for organization_id in self.mirrored_organizations(user_id).await? {
            self.mirror_person_in(cause, organization_id, &person).await?;
        }
        Ok(())
    }

    /// Brings what one membership shows of a person in step with the profile.
    pub async fn mirror_person_in(
        &self,
        cause: Cause<'_>,
        organization_id: OrganizationId,
        person: &Record<User>,
    ) -> Result<(), Failure> {
        let user_id = person.id()?;
        retry_stale(|| async {
            let Some(membership) = self.find_membership(organization_id, user_id).await? else {
                return Ok(());
            };
            if membership.data.person == PersonMirror::from(&person.data) {
                return Ok(());
            }
            let mut unit = cause.begin(CONTAINER, Partition::organization(organization_id)).without_audit();
            unit.replace(&membership, membership.data.clone().of(&person.data))?;
            cause.commit(unit).await
        })
        .await
    }
}
