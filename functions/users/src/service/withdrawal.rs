//! An owner who goes, by deletion or deactivation of the account: every company they own must keep another.

use coder_core::{Failure, Result, UserId};
use coder_database::Partition;

use super::mirrors::later;
use super::{Acting, Users};
use crate::model::{OrganizationKind, OrganizationStatus, User};
use crate::permissions::Rank;

impl Users {
    /// Takes a person out of the owners who count, in every company: `after` is the profile as it will be. `409
    /// last_owner`, and nothing changed, where there is no other. Runs before the profile itself is written.
    pub async fn withdraw_ownership(&self, acting: Acting<'_>, user_id: UserId, after: &User) -> Result<()> {
        match self.try_withdraw(acting, user_id, after).await {
            // The request runs again; what was withdrawn so far will be once more.
            Err(Failure::Stale) => Err(Failure::Stale),
            Err(failure) => {
                later(self.mirror_person(acting, user_id).await);
                Err(failure)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn try_withdraw(&self, acting: Acting<'_>, user_id: UserId, after: &User) -> Result<()> {
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
            let mut unit = acting.begin(partition).without_audit();
            unit.replace(&place.membership, place.membership.data.clone().of(after))?;
            self.raise_version(&mut unit, &place.organization)?;
            acting.commit(unit).await?;
        }
        Ok(())
    }
}
