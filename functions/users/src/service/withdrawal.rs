//! An owner who goes, by deletion or deactivation of the account: every company they own must keep another.

use coder_core::{Failure, Result, UserId};
use coder_database::Partition;
use coder_handler::Cause;

use super::Users;
use super::mirrors::later;
use crate::model::{CONTAINER, OrganizationKind, OrganizationStatus, User};
use crate::permissions::Rank;

impl Users {
    /// Takes a person out of the owners who count, in every company: `after` is the profile as it will be. `409
    /// last_owner`, and nothing changed, where there is no other. Runs before the profile itself is written.
    pub async fn withdraw_ownership(&self, cause: Cause<'_>, user_id: UserId, after: &User) -> Result<()> {
        match self.try_withdraw(cause, user_id, after).await {
            // The request runs again; what was withdrawn so far will be once more.
            Err(Failure::Stale) => Err(Failure::Stale),
            Err(failure) => {
                later(self.mirror_person(cause, user_id).await);
                Err(failure)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn try_withdraw(&self, cause: Cause<'_>, user_id: UserId, after: &User) -> Result<()> {
        let mut owned = self.places(user_id).await?;
        owned.retain(|place| {
            let organization = &place.organization.data;
            organization.kind == OrganizationKind::Company
                && organization.status == OrganizationStatus::Active
                && Rank::of(&place.membership.data.roles) == Rank::Owner
        });
        for place in &owned {
            self.check_owner_stays(place.organization_id()?, &place.membership.data, None).await?;
        }
        for place in owned {
            let partition = Partition::organization(place.organization_id()?);
            let mut unit = cause.begin(CONTAINER, partition).without_audit();
            unit.replace(&place.membership, place.membership.data.clone().of(after))?;
            self.raise_version(&mut unit, &place.organization)?;
            cause.commit(unit).await?;
        }
        Ok(())
    }
}
