//! A new person whom a login provider of an organization brings along: a member of it from the start.

use coder_core::permission::BuiltInRole;
use coder_core::{Code, Failure, OrganizationId, Result, UserId};
use coder_database::{Partition, Record};
use coder_handler::{Cause, retry_stale};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Snapshot, Users};
use crate::model::{CONTAINER, Membership, OrganizationStatus, User};
use crate::permissions::Rank;

/// The membership that a provisioned person starts with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FirstMembership {
    /// The organization that the provider belongs to.
    pub organization_id: OrganizationId,
    /// The role that the provider's settings lead to. `owner`, or one that is gone, gives the organization's
    /// default role.
    #[schemars(length(min = 1, max = 40))]
    pub role: String,
}

impl Users {
    /// Makes the person a member within the organization's limit; who is one already stays as they are.
    pub(super) async fn join_by_provider(
        &self,
        cause: Cause<'_>,
        person: &Record<User>,
        wanted: &FirstMembership,
    ) -> Result<OrganizationId> {
        let (organization_id, user_id) = (wanted.organization_id, person.id::<UserId>()?);
        retry_stale(|| async {
            let snapshot = self.snapshot(organization_id, user_id, &[]).await?;
            if snapshot.organization.data.status != OrganizationStatus::Active {
                return Err(Failure::problem(
                    Code::InvalidState,
                    "The organization takes no new members now.",
                ));
            }
            if self.find_membership(organization_id, user_id).await?.is_some() {
                return Ok(organization_id);
            }
            let roles = vec![role(&snapshot, &wanted.role)];
            let membership = Membership::new(user_id, roles, self.now()).of(&person.data);
            let mut unit = cause.begin(CONTAINER, Partition::organization(organization_id));
            self.add_member(&mut unit, &snapshot.organization, membership, "provider").await?;
            match cause.commit(unit).await {
                // The same registration came twice at once.
                Err(failure) if failure.code() == Some(Code::AlreadyExists) => Err(Failure::Stale),
                outcome => outcome.map(|()| organization_id),
            }
        })
        .await
    }
}

/// The wanted role where it can be given, else the default one; nobody becomes an owner by signing in.
fn role(snapshot: &Snapshot, wanted: &str) -> String {
    let settings = &snapshot.organization.data.settings;
    let usable = |name: &&str| {
        Rank::of(&[(*name).to_owned()]) < Rank::Owner && snapshot.permissions.roles().get(name).is_some()
    };
    let found = [wanted, settings.default_role.as_str()].into_iter().find(usable);
    found.unwrap_or(BuiltInRole::Member.as_str()).to_owned()
}
